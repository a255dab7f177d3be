"""The server for editors, with a real client: pygls's own, which starts the command and talks to it."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from typer.testing import CliRunner

from fairlane.cli import app

ALIAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
for size in (2, 3):
    "é𝄞"; candidate = model
    candidate.fit(x, y, batch_size=size)
"""
R = """\
net <- keras_model_sequential()
for (i in 1:2) {
  net |> compile("sgd")
  net |> fit(x, y)
}
"""
SECONDS = 60


class Editor(LanguageClient):
    """A client that keeps what it is shown."""

    def __init__(self):
        super().__init__("editor", "1")
        self.shown = asyncio.Queue()
        self.messages = asyncio.Queue()

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def keep(params):
            self.shown.put_nowait(params)

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def keep_message(params):
            self.messages.put_nowait(params)

    def open(self, path, text, language="python"):
        item = types.TextDocumentItem(path.as_uri(), language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    async def next(self):
        return await asyncio.wait_for(self.shown.get(), SECONDS)

    async def actions(self, path, line, column, only=None):
        place = types.Range(types.Position(line, column), types.Position(line, column))
        context = types.CodeActionContext([], only=only)
        params = types.CodeActionParams(types.TextDocumentIdentifier(path.as_uri()), place, context)
        return await asyncio.wait_for(self.text_document_code_action_async(params), SECONDS)


@asynccontextmanager
async def editor(folder):
    client = Editor()
    source = str(Path(__file__).parents[2] / "src")
    paths = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    await client.start_io(sys.executable, "-m", "fairlane", "lsp", env={**os.environ, "PYTHONPATH": paths})
    capabilities = types.ClientCapabilities()
    await asyncio.wait_for(
        client.initialize_async(types.InitializeParams(capabilities, root_uri=folder.as_uri())), SECONDS
    )
    client.initialized(types.InitializedParams())
    try:
        yield client
    finally:
        await asyncio.wait_for(client.shutdown_async(None), SECONDS)
        client.exit(None)
        await client.stop()


def applied(text, edits):
    """A text with an editor's edits; its columns are units of UTF-16."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        start, end = edit.range.start, edit.range.end
        assert start.line == end.line
        row = lines[start.line].encode("utf-16-le")
        row = row[: start.character * 2] + edit.new_text.encode("utf-16-le") + row[end.character * 2 :]
        lines[start.line] = row.decode("utf-16-le")
    return "\n".join(lines)


def test_diagnostics_and_quick_fixes(tmp_path):
    path = tmp_path / "a.py"

    async def session():
        async with editor(tmp_path) as client:
            client.open(path, ALIAS)
            (found,) = (await client.next()).diagnostics
            assert (found.code, found.source, found.severity) == (
                "FL001",
                "fairlane",
                types.DiagnosticSeverity.Warning,
            )
            # "𝄞" is two units of UTF-16
            assert (found.range.start.line, found.range.start.character) == (5, 11)
            assert "`candidate` is a second name for the model `model`" in found.message
            related = [one.location.range.start.line for one in found.related_information]
            assert 2 in related
            fix_all, fix, silence = await client.actions(path, 5, 14)
            for action in (fix_all, fix):
                text = applied(ALIAS, action.edit.changes[path.as_uri()])
                assert "candidate = fairlane.copy(model)\n" in text
                assert text.startswith("import keras\nimport fairlane\n")
            assert "silence FL001 (second-name)" in silence.title
            silenced = applied(ALIAS, silence.edit.changes[path.as_uri()])
            assert "candidate = model  # noqa: FL001\n" in silenced
            assert not await client.actions(path, 0, 0, only=[types.CodeActionKind.QuickFix])
            for new in (text, silenced):
                change = types.TextDocumentContentChangeWholeDocument(new)
                identifier = types.VersionedTextDocumentIdentifier(2, path.as_uri())
                client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
                assert not (await client.next()).diagnostics
            broken = types.TextDocumentContentChangeWholeDocument(ALIAS + "x = (")
            client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [broken]))
            assert not (await client.next()).diagnostics  # while it is being written
            closed = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(path.as_uri()))
            client.text_document_did_close(closed)
            assert not (await client.next()).diagnostics

    asyncio.run(session())


def test_r_settings_and_likely_findings(tmp_path):
    async def session():
        async with editor(tmp_path) as client:
            client.open(tmp_path / "a.R", R, "r")
            (found,) = (await client.next()).diagnostics
            assert (found.code, found.range.start.line) == ("FL003", 3)
            seed = "import keras\nkeras.utils.set_random_seed(1)\nfor u in (1, 2):\n"
            seed += (
                "    m = keras.Sequential([keras.layers.Dense(u)])\n    m.compile('sgd')\n    m.fit(x, y)\n"
            )
            client.open(tmp_path / "b.py", seed)
            (found,) = (await client.next()).diagnostics
            assert (found.code, found.severity) == ("FL009", types.DiagnosticSeverity.Information)
            settings = tmp_path / "pyproject.toml"
            settings.write_text('[tool.fairlane.check]\nignore = ["FL009"]\nexclude = ["old"]\n')
            saved = types.DidSaveTextDocumentParams(
                types.TextDocumentIdentifier((tmp_path / "b.py").as_uri())
            )
            client.text_document_did_save(saved)
            assert not (await client.next()).diagnostics
            client.open(tmp_path / "old" / "c.py", ALIAS)
            assert not (await client.next()).diagnostics
            settings.write_text("[tool.fairlane.check]\ncolour = 1\n")
            client.text_document_did_save(saved)
            message = await asyncio.wait_for(client.messages.get(), SECONDS)
            assert "colour is not a setting" in message.message

    asyncio.run(session())


def test_the_cells_of_a_notebook_are_one_program(tmp_path):
    def uri(number):
        return f"vscode-notebook-cell:{tmp_path.as_posix()}/a.ipynb#{number}"

    model, loop = ALIAS.split("for size")
    sources = [model, "!pip install keras", "for size" + loop]

    async def session():
        async with editor(tmp_path) as client:
            cells = [types.NotebookCell(types.NotebookCellKind.Code, uri(n)) for n in range(3)]
            document = types.NotebookDocument((tmp_path / "a.ipynb").as_uri(), "jupyter-notebook", 1, cells)
            texts = [types.TextDocumentItem(uri(n), "python", 1, text) for n, text in enumerate(sources)]
            client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(document, texts))
            shown = {}
            for _ in range(3):
                params = await client.next()
                shown[params.uri] = params.diagnostics
            assert [len(shown[uri(n)]) for n in range(3)] == [0, 0, 1]
            (found,) = shown[uri(2)]
            assert (found.code, found.range.start.line) == ("FL001", 1)
            assert (uri(0), 2) in [
                (r.location.uri, r.location.range.start.line) for r in found.related_information
            ]
            place = types.Range(types.Position(1, 14), types.Position(1, 14))
            identifier = types.TextDocumentIdentifier(uri(2))
            context = types.CodeActionContext([], only=[types.CodeActionKind.QuickFix])
            params = types.CodeActionParams(identifier, place, context)
            fix, _ = await client.text_document_code_action_async(params)
            text = applied(sources[2], fix.edit.changes[uri(2)])
            assert "candidate = fairlane.copy(model)" in text

    asyncio.run(session())


def test_without_pygls(monkeypatch):
    for name in ("pygls", "pygls.lsp", "pygls.lsp.server", "lsprotocol", "fairlane.check.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "fairlane.check.server")
    result = CliRunner().invoke(app, ["lsp"])
    assert result.exit_code == 2
    assert "pip install 'fairlane[lsp]'" in result.stderr


def test_the_rest_works_without_it():
    code = "import sys, fairlane.check, fairlane.cli; sys.exit('pygls' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
