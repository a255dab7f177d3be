"""Whether small or large values are better: by Keras, by whole words, by ``mode``, and never by a guess."""

import doctest
import inspect

import keras
import pytest

from fairlane.errors import StudyError
from fairlane.results import directions
from fairlane.results.directions import by_name, check_mode, direction, find_direction

LARGE = """
mcc, val_mcc, auroc, aucpr, map, mAP@0.5, mAP50, pearson, pearson_r, r_squared, R², R2, psnr, ssim, bleu, c_index, C-index,
tpr, true_positive_rate, true_negatives_1, f1score, f2, F1, f1_macro, val_f1_weighted, dsc, dice_coef, miou, mIoU, mean_io_u,
likelihood, log_likelihood, score, my_score, reward, episode_reward, hits@k, hits@10, P@5, recall@10, auc-roc, roc_auc,
balanced acc, BalancedAcc, valAccuracy, top5_acc, accuracy_top5, worst_group_accuracy, head_accuracy, accuracy_1,
area_under_roc, mean of accuracies, precision_at_recall, explained_variance, exact_match, cohen_kappa, win_rate, ndcg@10,
neg_mean_squared_error, neg_log_loss, one_minus_error, matthews_corrcoef, adjusted_rand_index, cosine_similarity, si_sdr
"""
SMALL = """
loss, val_loss, head_loss, accuracy_loss, rmse, MSE, mae_1, log_loss, nll, negative_log_likelihood, neg_accuracy, error_rate,
top_1_error, false_positive_rate, false_negatives_2, wer, fid, brier_score, perplexity, inaccuracy, jaccard_distance,
time_to_accuracy, training_time, accuracy_gap, dissimilarity, kl_divergence, cross_entropy, binary_crossentropy, log_cosh,
meanAbsoluteError, hd95, ECE, miss_rate, loss_of_precision, one_minus_ssim, interval_score, davies_bouldin_score,
continuous_ranked_probability_score
"""
UNKNOWN = """
rotation, learning_rate, my_metric, entropy, accuracy_drop, accuracy_std, feature_map_size, loss_reduction, error_correlation,
gradient_norm, epochs_to_accuracy, mean, sum, rate, x, heat, not_accuracy, unaccuracy, mapping, scored,
inverse_accuracy, complement_of_accuracy, anomaly_score
"""


def names(text):
    return [name.strip() for name in text.replace("\n", " ").split(",")]


def test_doctests():
    results = doctest.testmod(directions)
    assert results.attempted > 7
    assert results.failed == 0


@pytest.mark.parametrize(("text", "expected"), [(LARGE, "max"), (SMALL, "min"), (UNKNOWN, None)])
def test_names_are_read_by_whole_words(text, expected):
    found = {name: by_name(name) for name in names(text)}
    assert found == dict.fromkeys(found, expected)


def test_every_metric_of_keras_is_known_by_its_name_as_keras_knows_it():
    known = {
        name: {"up": "max", "down": "min"}[made._direction]
        for name, made in ((made.name, made) for made in keras_metrics())
        if getattr(made, "_direction", None)
    }
    assert len(known) > 25
    assert {name: by_name(name) for name in known} == known


def keras_metrics():
    given = {
        "num_classes": 2,
        "target_class_ids": [0],
        "recall": 0.5,
        "precision": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "normalizer": [1.0],
        "fn": keras.losses.mean_squared_error,
    }
    for kind in vars(keras.metrics).values():
        if isinstance(kind, type) and kind is not keras.metrics.MeanMetricWrapper:
            takes = inspect.signature(kind.__init__).parameters
            yield kind(**{name: value for name, value in given.items() if name in takes})


def test_what_keras_knows_of_a_compiled_metric_goes_before_its_name():
    known = {"rotation": ["max"], "accuracy": ["min"]}
    assert direction("val_rotation", known=known) == "max"
    assert direction("test_accuracy", known=known) == "min"
    assert direction("accuracy", mode="max", known=known) == "max"
    assert direction("loss", known={"loss": ["max"]}) == "min"  # it is what training makes small


def test_compiled_metrics_that_do_not_agree_are_no_answer():
    known = {"accuracy": ["min", "max"]}
    assert find_direction("accuracy", known=known) is None
    with pytest.raises(StudyError, match=r"variants disagree .* 'accuracy' .*Give mode='min' or mode='max'"):
        direction("accuracy", known=known)


def test_modes_by_metric():
    assert direction("val_rotation", mode={"val_rotation": "max"}) == "max"
    assert direction("val_rotation", mode={"rotation": "max"}) == "max"
    assert direction("val_loss", mode={"rotation": "max"}) == "min"
    with pytest.raises(StudyError, match="small or large values of 'tilt' are better"):
        direction("tilt", mode={"rotation": "max"})


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("up", "mode must be 'auto', 'min' or 'max', or a dict with one per metric; not 'up'"),
        (None, "not None"),
        (3, "not 3"),
        (["max"], r"not \['max'\]"),
        ({"loss": "up"}, "mode of 'loss' must be 'auto', 'min' or 'max', not 'up'"),
        ({"val_los": "min"}, "a metric 'val_los', which no trial has logged. Did you mean 'val_loss'"),
        ({3: "min"}, "a metric 3, which no trial has logged. Logged metrics: loss, val_loss"),
    ],
)
def test_wrong_modes(mode, words):
    with pytest.raises(StudyError, match=words):
        check_mode(mode, ["loss", "val_loss"])
