"""The checker in an editor: a server of the Language Server Protocol.

In: documents and notebooks that an editor has open, as they are written. Out: diagnostics, and quick fixes
for them. It needs the extra ``fairlane[lsp]``, which is loaded when this module is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlparse

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from fairlane.check import check_text, fixing, is_chosen, settings
from fairlane.check.patterns import matches
from fairlane.check.report import Finding, Place
from fairlane.check.rules import RULES, Confidence
from fairlane.check.settings import SettingsError
from fairlane.check.sources import SUFFIXES

NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithNotebook(
            notebook="jupyter-notebook",
            cells=[types.NotebookCellLanguage("python"), types.NotebookCellLanguage("r")],
        )
    ]
)
_ENDINGS = {"python": ".py", "r": ".R", "rmd": ".Rmd", "quarto": ".qmd", "markdown": ".md"}


def made(version: str) -> LanguageServer:
    """A server that has not been started.

    Args:
        version: Fairlane's version, which is shown in editors.

    Returns:
        the server; ``start_io()`` talks over the standard streams.
    """
    server = LanguageServer("fairlane", version, notebook_document_sync=NOTEBOOKS)
    editor = _Editor(server)
    handlers: dict[str, Callable[[Any], Any]] = {
        types.TEXT_DOCUMENT_DID_OPEN: editor.changed,
        types.TEXT_DOCUMENT_DID_CHANGE: editor.changed,
        types.TEXT_DOCUMENT_DID_SAVE: editor.saved,
        types.TEXT_DOCUMENT_DID_CLOSE: editor.closed,
        types.NOTEBOOK_DOCUMENT_DID_OPEN: editor.notebook_changed,
        types.NOTEBOOK_DOCUMENT_DID_CHANGE: editor.notebook_changed,
        types.NOTEBOOK_DOCUMENT_DID_SAVE: editor.notebook_changed,
        types.NOTEBOOK_DOCUMENT_DID_CLOSE: editor.notebook_closed,
        types.TEXT_DOCUMENT_CODE_ACTION: editor.actions,
    }
    kinds = [types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll]
    for name, handler in handlers.items():
        is_action = name == types.TEXT_DOCUMENT_CODE_ACTION
        options = types.CodeActionOptions(code_action_kinds=kinds) if is_action else None
        server.feature(name, options)(_function(handler))
    return server


def _function(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method as a function, which pygls can note things on."""

    def call(params: Any) -> Any:
        return handler(params)

    return call


class _Editor:
    """What an editor has open."""

    def __init__(self, server: LanguageServer) -> None:
        self.server = server
        self.findings: dict[str, list[Finding]] = {}
        self.told: set[str] = set()

    # What changes

    def changed(self, params: Any) -> None:
        """A document was opened or changed."""
        self.check(self.server.workspace.get_text_document(params.text_document.uri))

    def saved(self, params: types.DidSaveTextDocumentParams) -> None:
        """A document was saved: perhaps the settings."""
        settings.forget()
        self.check(self.server.workspace.get_text_document(params.text_document.uri))

    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        """A document was closed."""
        self.publish(params.text_document.uri, [], [])

    def notebook_changed(self, params: Any) -> None:
        """A notebook was opened, changed or saved: all of its cells are one program."""
        notebook = self.server.workspace.get_notebook_document(notebook_uri=params.notebook_document.uri)
        if notebook is None:
            return
        cells = [
            self.server.workspace.get_text_document(cell.document)
            for cell in notebook.cells
            if cell.kind == types.NotebookCellKind.Code
        ]
        language = next((cell.language_id for cell in cells if cell.language_id), "python")
        made = [{"cell_type": "code", "source": cell.source} for cell in cells]
        text = json.dumps({"cells": made, "metadata": {"language_info": {"name": language}}})
        name = _path(notebook.uri) or "notebook.ipynb"
        found = self.counted(check_text(text, str(PurePath(name).with_suffix(".ipynb"))).findings, name)
        uris = {number: cell.uri for number, cell in enumerate(cells, 1)}
        for number, cell in enumerate(cells, 1):
            own = [finding for finding in found if finding.place.cell == number]
            self.publish(cell.uri, own, [self.diagnostic(cell, finding, uris) for finding in own])

    def notebook_closed(self, params: types.DidCloseNotebookDocumentParams) -> None:
        """A notebook was closed."""
        for cell in params.cell_text_documents:
            self.publish(cell.uri, [], [])

    # Findings

    def check(self, document: TextDocument) -> None:
        """Check a document that is not a notebook's cell."""
        if urlparse(document.uri).scheme == "vscode-notebook-cell":
            return
        name = _path(document.uri) or "untitled"
        if PurePath(name).suffix.lower() not in SUFFIXES:
            name += _ENDINGS.get((document.language_id or "").lower(), "")
        if PurePath(name).suffix.lower() not in SUFFIXES - {".ipynb"}:
            return
        report = check_text(document.source, name)
        missing = next((one.message for one in report.failures if "pip install" in one.message), None)
        if missing is not None and missing not in self.told:
            self.told.add(missing)
            self.tell(missing)
        found = self.counted(report.findings, name)
        self.publish(document.uri, found, [self.diagnostic(document, finding, {}) for finding in found])

    def counted(self, findings: Iterable[Finding], name: str) -> list[Finding]:
        """The findings that count by the project's settings."""
        path = Path(name)
        try:
            own = settings.of_folder(path.parent)
        except SettingsError as error:
            self.tell(str(error))
            return list(findings)
        if matches(path, own.exclude, own.root):
            return []
        ignored = (*own.ignore, *own.ignored_in(path))
        return [finding for finding in findings if is_chosen(finding.code, own.select, ignored)]

    def tell(self, message: str) -> None:
        """Show a message."""
        params = types.ShowMessageParams(types.MessageType.Warning, f"fairlane check: {message}")
        self.server.window_show_message(params)

    def publish(self, uri: str, found: list[Finding], shown: list[types.Diagnostic]) -> None:
        """Show diagnostics."""
        self.findings[uri] = found
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, shown))

    def diagnostic(self, document: TextDocument, finding: Finding, cells: dict[int, str]) -> types.Diagnostic:
        """A finding as editors show it."""
        sure = finding.confidence is Confidence.CERTAIN
        related = []
        for place, what in finding.related:
            uri = document.uri if place.cell is None else cells.get(place.cell, document.uri)
            there = self.server.workspace.get_text_document(uri)
            location = types.Location(uri, self.range(there, place))
            related.append(types.DiagnosticRelatedInformation(location, what))
        return types.Diagnostic(
            self.range(document, finding.place),
            f"{finding.message}; {finding.fix}",
            severity=types.DiagnosticSeverity.Warning if sure else types.DiagnosticSeverity.Information,
            code=finding.code,
            source="fairlane",
            related_information=related,
        )

    def range(self, document: TextDocument, place: Place) -> types.Range:
        """A place in the units that the editor counts."""
        own = types.Range(
            types.Position(place.line - 1, place.column - 1),
            types.Position(place.end_line - 1, place.end_column - 1),
        )
        return document.position_codec.range_to_client_units(document.lines, own)

    # Quick fixes

    def actions(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """What can be done about the findings at a place."""
        document = self.server.workspace.get_text_document(params.text_document.uri)
        wanted = params.context.only
        found = self.findings.get(document.uri, [])
        actions: list[types.CodeAction] = []
        fixes = [finding for finding in found if fixing.can_fix(finding)]
        if fixes and _is_wanted(types.CodeActionKind.SourceFixAll, wanted):
            title = "Fairlane: mend all that is sure to be mended"
            actions.append(self.action(title, document, fixes, types.CodeActionKind.SourceFixAll))
        if not _is_wanted(types.CodeActionKind.QuickFix, wanted):
            return actions
        for finding in found:
            if _touches(self.range(document, finding.place), params.range):
                if finding in fixes and finding.edit is not None:
                    title = f"Fairlane: write {finding.edit.new}"
                    actions.append(self.action(title, document, [finding], types.CodeActionKind.QuickFix))
                actions.append(self.silence(document, finding))
        return actions

    def action(
        self, title: str, document: TextDocument, findings: list[Finding], kind: types.CodeActionKind
    ) -> types.CodeAction:
        """A change that mends findings."""
        changes = fixing.changes_of(document.source, [one.edit for one in findings if one.edit is not None])
        edits = []
        for change in changes:
            place = Place(change.line, change.column, change.end_line, change.end_column)
            edits.append(types.TextEdit(self.range(document, place), change.new))
        mended = [self.diagnostic(document, finding, {}) for finding in findings]
        edit = types.WorkspaceEdit(changes={document.uri: edits})
        return types.CodeAction(title, kind=kind, edit=edit, diagnostics=mended, is_preferred=True)

    def silence(self, document: TextDocument, finding: Finding) -> types.CodeAction:
        """A comment that says that a finding is meant."""
        line = finding.place.end_line
        text = document.lines[line - 1].rstrip("\r\n")
        place = Place(line, len(text) + 1, line, len(text) + 1)
        edit = types.TextEdit(self.range(document, place), f"  # noqa: {finding.code}")
        name = RULES[finding.code].name
        return types.CodeAction(
            f"Fairlane: silence {finding.code} ({name}) here",
            kind=types.CodeActionKind.QuickFix,
            edit=types.WorkspaceEdit(changes={document.uri: [edit]}),
            diagnostics=[self.diagnostic(document, finding, {})],
        )


def _path(uri: str) -> str:
    """The file of a document; nothing for one that has no file."""
    return to_fs_path(uri) or "" if urlparse(uri).scheme == "file" else ""


def _is_wanted(kind: types.CodeActionKind, only: Iterable[str] | None) -> bool:
    return only is None or any(str(kind.value).startswith(str(getattr(o, "value", o))) for o in only)


def _touches(one: types.Range, other: types.Range) -> bool:
    """Whether two ranges have a place in common."""
    a, b = (one.start.line, one.start.character), (one.end.line, one.end.character)
    c, d = (other.start.line, other.start.character), (other.end.line, other.end.character)
    return a <= d and c <= b
