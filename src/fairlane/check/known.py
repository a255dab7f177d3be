"""What Keras's names mean, in Python and in R.

In: the full name of something imported (``tensorflow.keras.layers.Dense``, ``keras3::layer_dense``), or a
bare name of R. Out: a `Meaning`, or None for what Fairlane does not know and then makes no claim about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of things that the rules distinguish."""

    MODEL = "model"
    LAYER = "layer"
    OPTIMIZER = "optimizer"
    CALLBACK = "callback"
    METRIC = "metric"
    INITIALIZER = "initializer"
    LOSS = "loss"
    SPLITTER = "splitter"
    LOAD = "load"
    COPY = "copy"
    SEED = "seed"
    INPUT = "input"
    METHOD = "method"
    CONTINUING = "continuing"
    HARMLESS = "harmless"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for: a kind, and the name in that kind, as Keras for Python writes it."""

    kind: Kind
    name: str


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


KERAS_ROOTS = (
    "tensorflow.keras.",
    "tensorflow.python.keras.",
    "tensorflow.compat.v1.keras.",
    "tensorflow.compat.v2.keras.",
    "tf_keras.",
    "keras.api.",
    "keras.src.",
    "keras.",
)
"""Longest first, where one is the beginning of another."""

SPLITTERS = frozenset(
    {
        "KFold",
        "StratifiedKFold",
        "GroupKFold",
        "StratifiedGroupKFold",
        "RepeatedKFold",
        "RepeatedStratifiedKFold",
        "LeaveOneOut",
        "LeavePOut",
        "LeaveOneGroupOut",
        "LeavePGroupsOut",
        "ShuffleSplit",
        "StratifiedShuffleSplit",
        "GroupShuffleSplit",
        "TimeSeriesSplit",
    }
)
"""scikit-learn's."""

TRAINING = frozenset({"fit", "fit_generator", "train_on_batch"})

HARMLESS_METHODS = names(
    """
    evaluate evaluate_generator predict predict_generator predict_on_batch predict_classes predict_proba
    test_on_batch summary save save_weights save_spec export get_weights get_config to_json to_yaml
    count_params get_metrics_result reset_metrics reset_states reset_state build call compute_loss
    compute_metrics compute_output_shape stateless_call get_build_config get_compile_config get_layer
    make_predict_function
    make_train_function make_test_function quantize describe symbolic_call name input_shape output_shape
    """
)
"""Methods of a model that leave its weights as they are."""

RESETTING_METHODS = frozenset({"set_weights", "load_weights", "add", "pop", "load_own_variables"})
"""Methods after which a model is no longer what training made of it."""

STATEFUL_CALLBACKS = names(
    """
    EarlyStopping ReduceLROnPlateau ModelCheckpoint History CSVLogger TensorBoard
    SwapEMAWeights
    """
)

RANDOM_INITIALIZERS = names(
    """
    RandomNormal RandomUniform TruncatedNormal VarianceScaling GlorotNormal GlorotUniform HeNormal HeUniform
    LecunNormal LecunUniform Orthogonal OrthogonalInitializer random_normal random_uniform truncated_normal
    variance_scaling glorot_normal glorot_uniform he_normal he_uniform lecun_normal lecun_uniform orthogonal
    """
)

LAYERS_WITH_WEIGHTS = names(
    """
    Dense EinsumDense Embedding Conv1D Conv2D Conv3D Convolution1D Convolution2D Convolution3D
    Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D SeparableConv1D
    SeparableConv2D LSTM GRU SimpleRNN ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional TimeDistributed
    BatchNormalization LayerNormalization GroupNormalization MultiHeadAttention GroupQueryAttention PReLU
    LocallyConnected1D LocallyConnected2D CuDNNLSTM CuDNNGRU
    """
)

HARMLESS_BUILTINS = names(
    """
    print len str repr type id isinstance hasattr getattr vars dir callable list tuple dict set enumerate zip
    reversed sorted range display help format hash bool int float abs min max sum round any all iter next
    super
    """
)

HARMLESS_MODULES = names(
    """
    numpy pandas matplotlib seaborn plotly sklearn scipy os sys time datetime json pickle joblib logging
    pathlib random math gc collections itertools functools shap visualkeras netron mlflow wandb tqdm rich
    pprint warnings string re csv copy h5py PIL cv2 IPython tensorflow keras tf_keras tensorflow_datasets
    """
)
"""Packages whose functions do not change a model's weights when they are handed one."""

R_HARMLESS = names(
    """
    print summary plot str cat class names length invisible identity list c is.null paste paste0 message
    format data.frame tibble as.data.frame cbind rbind evaluate predict save_model saveRDS nrow ncol dim
    colnames rep seq seq_len seq_along mean sd max min round glue sprintf inherits typeof object.size
    head tail unlist assign
    export_savedmodel plot_model count_params stopifnot deepviz ggplot aes autoplot view View cat
    """
)

R_METHODS = {
    "compile": "compile",
    "fit": "fit",
    "fit_generator": "fit_generator",
    "train_on_batch": "train_on_batch",
    "evaluate": "evaluate",
    "evaluate_generator": "evaluate",
    "predict": "predict",
    "predict_generator": "predict",
    "predict_on_batch": "predict_on_batch",
    "predict_classes": "predict_classes",
    "predict_proba": "predict_proba",
    "test_on_batch": "test_on_batch",
    "summary": "summary",
    "get_weights": "get_weights",
    "get_config": "get_config",
    "get_layer": "get_layer",
    "count_params": "count_params",
    "reset_states": "reset_states",
    "save_model": "save",
    "save_model_hdf5": "save",
    "save_model_tf": "save",
    "save_model_weights_hdf5": "save_weights",
    "save_model_weights_tf": "save_weights",
    "save_model_weights": "save_weights",
    "model_to_json": "to_json",
    "serialize_model": "save",
    "export_savedmodel": "export",
    "set_weights": "set_weights",
    "load_model_weights_hdf5": "load_weights",
    "load_model_weights_tf": "load_weights",
    "load_model_weights": "load_weights",
    "freeze_weights": "freeze",
    "unfreeze_weights": "freeze",
    "pop_layer": "pop",
}

R_NAMES = {
    "keras_model_sequential": Meaning(Kind.MODEL, "Sequential"),
    "keras_model": Meaning(Kind.MODEL, "Model"),
    "layer_input": Meaning(Kind.INPUT, "Input"),
    "keras_input": Meaning(Kind.INPUT, "Input"),
    "clone_model": Meaning(Kind.COPY, "clone_model"),
    "load_model": Meaning(Kind.LOAD, "load_model"),
    "load_model_hdf5": Meaning(Kind.LOAD, "load_model"),
    "load_model_tf": Meaning(Kind.LOAD, "load_model"),
    "model_from_json": Meaning(Kind.LOAD, "model_from_json"),
    "model_from_yaml": Meaning(Kind.LOAD, "model_from_yaml"),
    "model_from_config": Meaning(Kind.LOAD, "model_from_config"),
    "from_config": Meaning(Kind.LOAD, "from_config"),
    "unserialize_model": Meaning(Kind.LOAD, "unserialize_model"),
    "set_random_seed": Meaning(Kind.SEED, "set_random_seed"),
    "use_session_with_seed": Meaning(Kind.SEED, "use_session_with_seed"),
}

R_PACKAGES = frozenset({"keras", "keras3", "tensorflow", "generics", "stats", "base"})

_R_PREFIXES = (
    ("layer_", Kind.LAYER),
    ("optimizer_", Kind.OPTIMIZER),
    ("callback_", Kind.CALLBACK),
    ("metric_", Kind.METRIC),
    ("initializer_", Kind.INITIALIZER),
    ("loss_", Kind.LOSS),
    ("application_", Kind.MODEL),
)

_MODULES = {
    "layers": Kind.LAYER,
    "optimizers": Kind.OPTIMIZER,
    "callbacks": Kind.CALLBACK,
    "metrics": Kind.METRIC,
    "initializers": Kind.INITIALIZER,
    "losses": Kind.LOSS,
    "applications": Kind.MODEL,
}

_LOADERS = frozenset(
    {"load_model", "model_from_json", "model_from_yaml", "model_from_config", "from_pretrained"}
)

_OTHERS = {
    "copy.deepcopy": Meaning(Kind.COPY, "deepcopy"),
    "fairlane.copy": Meaning(Kind.COPY, "copy"),
    "fairlane.fresh": Meaning(Kind.COPY, "fresh"),
    "fairlane.continuing": Meaning(Kind.CONTINUING, "continuing"),
    "fairlane.models.guard.watch.continuing": Meaning(Kind.CONTINUING, "continuing"),
    "tensorflow.random.set_seed": Meaning(Kind.SEED, "set_seed"),
    "tensorflow.random.set_random_seed": Meaning(Kind.SEED, "set_random_seed"),
    "tensorflow.set_random_seed": Meaning(Kind.SEED, "set_random_seed"),
    "tensorflow.compat.v1.set_random_seed": Meaning(Kind.SEED, "set_random_seed"),
}

_MENTIONS = ("keras", "Keras", "tensorflow", "fairlane", "tf.", "load_model", "layer_")
_COMPILES = re.compile(r"(?<!\bre\.)(?<!regex\.)\bcompile\s*\(")
_TRAINS = re.compile(
    r"\b(?:fit|fit_generator|train_on_batch|apply_gradients|minimize|KerasClassifier|KerasRegressor|keras_?tuner)\b|optim\w*\.apply\b"
)
_TRAINING_WORDS = (
    "fit",
    "train_on_batch",
    "apply_gradients",
    "minimize",
    ".apply",
    "tuner",
    "KerasClassifier",
    "KerasRegressor",
)
_INITIALIZER_WORDS = ("initializer", "Normal", "Uniform", "Scaling", "Orthogonal")
_INITIALIZES = re.compile(
    rf"\b(?:{'|'.join(sorted(name for name in RANDOM_INITIALIZERS if name[0].isupper()))})\s*\(|"
    r"initializers\.\w+\s*\(|initializer_\w+\s*\("
)


def may_matter(text: str) -> bool:
    """Whether a text can hold anything that a rule is about: the others are read, and not interpreted.

    Nothing is found where nothing is trained, and no initializer made.
    """
    if not any(word in text for word in _MENTIONS):
        return "compile" in text and "fit" in text and _COMPILES.search(text) is not None
    return may_train(text)


def may_train(text: str) -> bool:
    """Whether anything may be trained in a text, or an initializer made."""
    if any(word in text for word in _TRAINING_WORDS) and _TRAINS.search(text) is not None:
        return True
    return any(word in text for word in _INITIALIZER_WORDS) and _INITIALIZES.search(text) is not None


def python(path: str) -> Meaning | None:
    """The meaning of something imported in Python.

    Args:
        path: the full name, such as ``tensorflow.keras.layers.Dense``.

    Returns:
        what it means, or None where it is not Keras's.

    Example:
        >>> python("tensorflow.keras.layers.Dense")
        Meaning(kind=<Kind.LAYER: 'layer'>, name='Dense')
    """
    if path in _OTHERS:
        return _OTHERS[path]
    if path.startswith(("sklearn.model_selection.", "sklearn.cross_validation.")):
        name = path.rsplit(".", 1)[1]
        return Meaning(Kind.SPLITTER, name) if name in SPLITTERS else None
    for root in KERAS_ROOTS:
        if path.startswith(root):
            return _of_keras(path.removeprefix(root))
    return None


def _of_keras(rest: str) -> Meaning | None:
    """The meaning of a name below Keras's root: ``layers.Dense``, ``Model``."""
    parts = rest.split(".")
    first, name = parts[0], parts[-1]
    if name in ("Sequential", "Model") and first in ("Sequential", "Model", "models", "engine"):
        return Meaning(Kind.MODEL, name)
    if name in ("Input", "InputLayer") and first in ("Input", "layers"):
        return Meaning(Kind.INPUT, name)
    if name == "clone_model":
        return Meaning(Kind.COPY, name)
    if name in _LOADERS:
        return Meaning(Kind.LOAD, name)
    if name == "set_random_seed":
        return Meaning(Kind.SEED, name)
    kind = _MODULES.get(first)
    if kind is None or len(parts) == 1:
        return None
    is_class = name[:1].isupper() or (kind is Kind.INITIALIZER and name in RANDOM_INITIALIZERS)
    return Meaning(kind, name) if is_class else None


def r(name: str) -> Meaning | None:
    """The meaning of one of R's names, with or without its package.

    Args:
        name: such as ``layer_dense`` or ``keras3::fit``.

    Returns:
        what it means, or None where it is not Keras's.
    """
    package, colons, bare = name.rpartition("::")
    if colons and package.rstrip(":") not in R_PACKAGES:
        return None
    if bare in R_METHODS:
        return Meaning(Kind.METHOD, R_METHODS[bare])
    if bare in R_NAMES:
        return R_NAMES[bare]
    for prefix, kind in _R_PREFIXES:
        if bare.startswith(prefix):
            return Meaning(kind, _camel(bare.removeprefix(prefix), kind))
    return None


_ACRONYMS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "csv": "CSV", "lr": "LR", "on": "On", "1d": "1D"}
_ACRONYMS |= {"2d": "2D", "3d": "3D", "simple": "Simple", "tensorboard": "TensorBoard", "cudnn": "CuDNN"}
_WHOLE = {
    "reduce_lr_on_plateau": "ReduceLROnPlateau",
    "model_checkpoint": "ModelCheckpoint",
    "conv_1d": "Conv1D",
    "conv_lstm_2d": "ConvLSTM2D",
    "multi_head_attention": "MultiHeadAttention",
    "activation_parametric_relu": "PReLU",
}


def _camel(name: str, kind: Kind) -> str:
    """``early_stopping`` as Python writes it: ``EarlyStopping``."""
    if kind in (Kind.OPTIMIZER, Kind.METRIC, Kind.LOSS, Kind.MODEL):
        return name
    if name in _WHOLE:
        return _WHOLE[name]
    if match := re.fullmatch(r"conv_(\dd)(_transpose)?", name):
        return f"Conv{match[1].upper()}{'Transpose' if match[2] else ''}"
    if match := re.fullmatch(r"(separable|depthwise)_conv_(\dd)", name):
        return f"{match[1].title()}Conv{match[2].upper()}"
    return "".join(_ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in name.split("_"))
