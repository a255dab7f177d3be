"""Whether small or large values of a metric are better.

In: a metric's name, what Keras knows of the compiled metrics, and a user's ``mode``. Out: ``"min"``,
``"max"``, or an error that requests ``mode``. It does not guess: a wrong guess shows the worst trial as the
best.

Names are read as English compounds, by whole words, never by parts of words. The last word before a
preposition names the thing (``accuracy_gap`` is a gap, ``time_to_accuracy`` is a time), and the words before
it describe it. If that last word is unknown, the direction is unknown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from fairlane.errors import StudyError

Direction = Literal["min", "max"]
Mode = Literal["auto", "min", "max"]
Modes = Mode | Mapping[str, Mode]

_DATA = ("val_", "test_")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MIN = _words(
    """
    loss losses error errors err mse mae mape msle rmse rmsle smape mase nrmse nmse sse mdae wmape wape rse
    rae medae wer cer mer ter der eer ece mce ace brier nll bce ce kl kld jsd mmd crps nlpd logloss lossval
    crossentropy divergence distance dist deviance perplexity ppl bpc bpd hinge huber logcosh pinball poisson
    ctc fpr fnr fdr fdp fp fn hausdorff hd hd95 assd asd masd chamfer emd wasserstein fid kid lpips epe aepe
    ade fde mpjpe ate inaccuracy dissimilarity misclassification misclassifications misses regret cost costs
    penalty risk time seconds duration latency runtime flops gap gaps overfit overfitting residual residuals
    violation violations aic bic forgetting bias
    """
)
"""Words for metrics whose small values are better."""

_MAX = _words(
    """
    acc accuracy accuracies precision recall sensitivity specificity selectivity auc aucs auroc rocauc aucroc
    auprc aucpr aupr prauc map mar ap ar f1 f2 f3 f05 fbeta fscore f1score f2score fmeasure f1macro f1micro
    iou miou giou diou ciou fwiou dice dsc jaccard kappa qwk mcc matthews phi r2 r2score rsquared rsq pearson
    pearsonr spearman spearmanr kendall kendalltau pcc plcc srcc krcc srocc ccc corr correlation correlations
    concordance cindex similarity similarities ssim msssim psnr snr sdr sisdr sisnr pesq stoi estoi mos vmaf
    bleu sacrebleu rouge rouge1 rouge2 rougel meteor cider spice chrf bertscore comet ndcg dcg mrr hit hits
    hitrate tpr tnr tp tn ppv npv gini informedness youden gmean likelihood loglikelihood elbo reward rewards
    returns profit sharpe sortino gain gains lift uplift success successes win wins winrate correct nse kge
    silhouette nmi ami ari purity homogeneity completeness vmeasure modularity throughput agreement fidelity
    utility coverage separability improvement return corrcoef
    """
)
"""Words for metrics whose large values are better."""

_SCORE = _words("score scores")
"""Words for metrics whose large values are better, unless a word before them says otherwise, as in
``brier_score``."""

_PHRASES: dict[tuple[str, ...], Direction] = {
    ("true", "positive"): "max",
    ("true", "positives"): "max",
    ("true", "negative"): "max",
    ("true", "negatives"): "max",
    ("false", "positive"): "min",
    ("false", "positives"): "min",
    ("false", "negative"): "min",
    ("false", "negatives"): "min",
    ("false", "discovery"): "min",
    ("false", "alarm"): "min",
    ("false", "alarms"): "min",
    ("false", "omission"): "min",
    ("miss", "rate"): "min",
    ("positive", "predictive"): "max",
    ("negative", "predictive"): "max",
    ("r", "squared"): "max",
    ("r", "square"): "max",
    ("r", "2"): "max",
    ("c", "index"): "max",
    ("c", "statistic"): "max",
    ("f", "score"): "max",
    ("f", "measure"): "max",
    ("f", "beta"): "max",
    ("f", "1"): "max",
    ("io", "u"): "max",
    ("rand", "index"): "max",
    ("tversky", "index"): "max",
    ("harrell", "c"): "max",
    ("explained", "variance"): "max",
    ("exact", "match"): "max",
    ("exact", "matches"): "max",
    ("percent", "correct"): "max",
    ("skill", "score"): "max",
    ("davies", "bouldin"): "min",
    ("interval", "score"): "min",
    ("winkler", "score"): "min",
    ("energy", "score"): "min",
    ("ignorance", "score"): "min",
    ("variogram", "score"): "min",
    ("quantile", "score"): "min",
    ("probability", "score"): "min",
    ("inception", "score"): "max",
    ("mutual", "information"): "max",
    ("reciprocal", "rank"): "max",
    ("signal", "noise"): "max",
    ("v", "measure"): "max",
    ("cross", "entropy"): "min",
    ("log", "cosh"): "min",
    ("calibration", "error"): "min",
    ("edit", "distance"): "min",
    ("hamming", "distance"): "min",
    ("area", "curve"): "max",
}
"""Pairs of words that have a meaning only together."""

_PREPOSITIONS = _words(
    "of to in until till before after from for per at under over vs versus by with given on than"
)

_QUALIFIERS = _words(
    """
    val test train training validation valid dev eval evaluation holdout oof cv macro micro weighted
    unweighted samples mean avg average averaged median balanced overall total global local final best last
    current running ema smoothed normalized normalised adjusted standardized scaled raw percent percentage pct
    rate rates ratio value values metric
    score scores index coefficient coef top k n roc pr curve rank epoch step steps batch fold all any binary
    categorical sparse multiclass multilabel multi one hot class classes seen unseen strict exact soft hard
    pred predictive pos neg positive negative absolute squared root log symmetric r rho tau l
    """
)
"""Words that may follow a known word without changing its direction: ``f1_macro``, ``accuracy_top_5``."""

_TURNING = _words("neg negative negated minus")
"""Words that reverse a direction: ``neg_mean_squared_error``, ``one_minus_ssim``."""

_SPOILING = _words(
    """
    not non no wrong bad missed missing lost lack drop drops dropped decrease decreased decline degradation
    inverse inverted inv complement complementary anomaly outlier drift
    reduction change changes delta diff difference variance var std stddev sd uncertainty
    """
)
"""Words next to which a known word no longer says what is better."""


def direction(
    metric: str, mode: Modes = "auto", known: Mapping[str, Iterable[str]] | None = None
) -> Direction:
    """Whether smaller or larger values of a metric are better.

    ``mode`` decides if it is given; else the compiled metric, if Keras knows it; else the name.

    Args:
        metric: its name, with or without ``val_`` or ``test_`` in front.
        mode: ``"auto"``, or the answer itself, ``"min"`` or ``"max"``; or a dict with such a mode per metric.
        known: metric (without ``val_``) → what Keras knows: ``"min"``, ``"max"``, or both where models
            differ.

    Returns:
        ``"min"`` or ``"max"``.

    Raises:
        StudyError: the mode is wrong, or the direction is not known.

    Example:
        >>> direction("val_loss"), direction("val_sparse_categorical_accuracy"), direction("time_per_step")
        ('min', 'max', 'min')
        >>> direction("distance_travelled", mode="max"), direction("my_metric", known={"my_metric": ["max"]})
        ('max', 'max')
        >>> direction("my_metric")
        Traceback (most recent call last):
            ...
        fairlane.errors.StudyError: it is not known whether small or large values of 'my_metric' are better: \
neither Keras nor the name says so. Give mode='min' or mode='max'
        >>> direction("loss", mode="most")
        Traceback (most recent call last):
            ...
        fairlane.errors.StudyError: mode must be 'auto', 'min' or 'max', or a dict with one per metric; \
not 'most'
    """
    found = find_direction(metric, mode, known)
    if found is not None:
        return found
    if len(set(_compiled(metric, known))) > 1:
        raise StudyError(
            "the compiled metrics of this study's variants disagree whether small or large values of "
            f"{metric!r} are better. Give mode='min' or mode='max'"
        )
    raise StudyError(
        f"it is not known whether small or large values of {metric!r} are better: neither Keras nor the name "
        "says so. Give mode='min' or mode='max'"
    )


def find_direction(
    metric: str, mode: Modes = "auto", known: Mapping[str, Iterable[str]] | None = None
) -> Direction | None:
    """As `direction`, but None where the direction is not known.

    Args:
        metric: as for `direction`.
        mode: as for `direction`.
        known: as for `direction`.

    Raises:
        StudyError: the mode is wrong.
    """
    check_mode(mode)
    given: Any = mode
    if isinstance(mode, Mapping):
        given = mode.get(metric, mode.get(bare(metric), "auto"))
    if given != "auto":
        return "min" if given == "min" else "max"
    if bare(metric) == "loss":
        return "min"
    compiled = set(_compiled(metric, known))
    if compiled:
        return compiled.pop() if len(compiled) == 1 else None  # type: ignore[return-value]
    return by_name(metric)


def check_mode(mode: Any, metrics: Sequence[str] | None = None) -> None:
    """Refuse a wrong mode, and a mode for a metric that does not exist.

    Args:
        mode: as for `direction`.
        metrics: the names that exist; None if they are not known.

    Raises:
        StudyError: what is wrong; for a name that does not exist, the nearest ones.
    """
    if isinstance(mode, Mapping):
        for name, one in mode.items():
            if one not in ("auto", "min", "max"):
                raise StudyError(f"mode of {name!r} must be 'auto', 'min' or 'max', not {one!r}")
            if metrics is not None:
                _check_name(name, metrics)
    elif not (isinstance(mode, str) and mode in ("auto", "min", "max")):
        raise StudyError(f"mode must be 'auto', 'min' or 'max', or a dict with one per metric; not {mode!r}")


def _check_name(name: Any, metrics: Sequence[str]) -> None:
    there = dict.fromkeys([*metrics, *map(bare, metrics)])
    if name in there:
        return
    near = difflib.get_close_matches(str(name), list(there), n=2)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise StudyError(
        f"mode names a metric {name!r}, which no trial has logged.{hint} Logged metrics: {', '.join(metrics)}"
    )


def bare(metric: str) -> str:
    """A metric's name without ``val_`` or ``test_``.

    Example:
        >>> bare("val_loss"), bare("test_auc"), bare("value")
        ('loss', 'auc', 'value')
    """
    for prefix in _DATA:
        if metric.startswith(prefix):
            return metric.removeprefix(prefix)
    return metric


def _compiled(metric: str, known: Mapping[str, Iterable[str]] | None) -> list[str]:
    return list((known or {}).get(metric) or (known or {}).get(bare(metric)) or ())


# Names


def by_name(metric: str) -> Direction | None:
    """The direction by a metric's name; None where the name is not clear.

    Example:
        >>> by_name("val_balanced acc"), by_name("mAP@0.5"), by_name("accuracy_gap"), by_name("C-index")
        ('max', 'max', 'min', 'max')
        >>> by_name("rotation"), by_name("neg_mean_squared_error"), by_name("true_negatives_1")
        (None, 'max', 'max')
    """
    words = _split(metric)
    if words[:1] in (["p"], ["r"]) and words[1:2] == ["at"]:  # P@5, R@10
        return "max"
    turned = False
    for i, word in enumerate(words):
        if word in _TURNING and tuple(words[i : i + 2]) not in _PHRASES and not _negates_nothing(words, i):
            words, turned = [*words[:i], *words[i + 1 :]], True
            break
    found = _of_words(words)
    if found is None or not turned:
        return found
    return "max" if found == "min" else "min"


def _negates_nothing(words: Sequence[str], i: int) -> bool:
    """Whether ``negative`` is the second word of ``true_negative``, or the last word of the name."""
    return tuple(words[max(0, i - 1) : i + 1]) in _PHRASES or i == len(words) - 1


def _of_words(words: Sequence[str]) -> Direction | None:
    """The direction by the words before the first preposition, or by those after it if these say nothing."""
    at = next((i for i, word in enumerate(words) if word in _PREPOSITIONS), len(words))
    named, rest = list(words[:at]), list(words[at + 1 :])
    if rest and "area" in named and words[at] == "under":  # the curve
        return "max"
    if rest and all(word in _QUALIFIERS for word in named):
        return _of_words(rest)  # "mean of accuracies"
    return _of_compound(named)


def _of_compound(words: Sequence[str]) -> Direction | None:
    """The direction of the last word that is not a qualifier, unless the words before it contradict."""
    marked = _marked(words)
    score = False
    while marked and marked[-1][0] in ("qualifier", "number"):  # f1_macro, accuracy_1
        score = score or marked[-1][1] in _SCORE
        marked.pop()
    kinds = [kind for kind, _ in marked]
    head, before = (kinds[-1] if kinds else "unknown"), set(kinds[:-1])
    if "spoiling" in (head, *before):
        return None
    if head == "min" or (head == "max" and "min" not in before):
        return head  # type: ignore[return-value]
    return "max" if score and head == "unknown" and not before & {"min", "max"} else None


def _marked(words: Sequence[str]) -> list[tuple[str, str]]:
    """The kind of each word, or pair of words with one meaning."""
    marked: list[tuple[str, str]] = []
    i = 0
    while i < len(words):
        phrase = _PHRASES.get((words[i], words[i + 1])) if i + 1 < len(words) else None
        if phrase is not None:
            marked.append((phrase, f"{words[i]} {words[i + 1]}"))
            i += 2
            continue
        marked.append((_kind(words[i]), words[i]))
        i += 1
    return marked


def _kind(word: str) -> str:
    for one in (word, word.rstrip("0123456789")):
        if one in _MIN:
            return "min"
        if one in _MAX:
            return "max"
    if word in _SPOILING:
        return "spoiling"
    if word.isdigit() or not word:
        return "number"
    return "qualifier" if word in _QUALIFIERS or word.rstrip("0123456789") in _QUALIFIERS else "unknown"


_CHUNK = re.compile(r"[A-Za-z0-9]+|[@²]")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+")


def _split(metric: str) -> list[str]:
    """A name's words in small letters, split at signs, and at capitals unless the whole is a known word.

    Example:
        >>> _split("val_BalancedAcc-2"), _split("mIoU"), _split("hits@10"), _split("R²")
        (['val', 'balanced', 'acc', '2'], ['miou'], ['hits', 'at', '10'], ['r', '2'])
    """
    words: list[str] = []
    for chunk in _CHUNK.findall(metric):
        if chunk in "@²":
            words.append({"@": "at", "²": "2"}[chunk])
        elif _kind(chunk.lower()) in ("min", "max"):  # mAP, AUROC, F1
            words.append(chunk.lower())
        else:
            words += [word.lower() for word in _CAMEL.findall(chunk)]
    return words
