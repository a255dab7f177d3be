"""``workers=fl.Ray(...)``, on a cluster of several nodes on this machine: one is lost, one joins."""

import importlib.util
import os
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.kit import extras

LR = {"lr": [0.1, 0.05, 0.02, 0.01]}


@pytest.fixture(scope="module")
def cluster():
    """A head without processors, and a node that claims one GPU."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'fairlane[ray]'")
    path = os.pathsep.join([str(Path(fl.__file__).parents[1]), str(Path(__file__).parents[1])])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        patch.setenv("PYTHONPATH", path)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # all on 127.0.0.1, there as everywhere
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        from ray.cluster_utils import Cluster

        node = {"node_ip_address": "127.0.0.1"}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, **node})
        made.claimed = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 2**27, **node}
        made.first = made.add_node(**made.claimed)
        import ray

        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


class Waits(keras.callbacks.Callback):
    """Says that an epoch has ended, and waits there until the node is lost."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2 and not Path(self.folder, "goes").exists():
            Path(self.folder, "there").touch()
            time.sleep(600)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_node_is_lost_and_one_joins(cluster, tmp_path, monkeypatch):
    from fairlane.engines.pool.on_ray import RayCrew

    replenish = RayCrew.replenish

    def changed(crew):  # Ray starts nodes in the main thread only
        if (tmp_path / "there").exists() and not (tmp_path / "goes").exists():
            (tmp_path / "goes").touch()
            cluster.remove_node(cluster.first, allow_graceful=False)
            cluster.add_node(**cluster.claimed)
        return replenish(crew)

    monkeypatch.setattr(RayCrew, "replenish", changed)
    given = {**FIT, "verbose": 0, "checkpoint_every": 1}
    with pytest.warns(
        fl.FairlaneWarning, match=r"worker 0 \(on Ray\) .* It had .* from their last checkpoints"
    ):
        study = fl.compare(
            build, LR, X, Y, callbacks=lambda: [Waits(str(tmp_path))], workers=fl.Ray(), **given
        )
    alone = fl.compare(build, LR, X, Y, **given)
    assert study.trials["state"].tolist() == ["done"] * 4
    assert study.trials["engine"].tolist() == ["lanes"] * 4
    np.testing.assert_allclose(study.history.to_numpy(float), alone.history.to_numpy(float), rtol=1e-4)


@pytest.mark.slow
def test_a_cluster_without_room_says_so(cluster):
    with pytest.raises(fl.StudyError, match=r"no node .* has room for a worker, which needs 1 CPUs, 8 GPUs"):
        fl.compare(build, LR, X, Y, workers=fl.Ray(gpus=8), verbose=0)


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(fl.FairlaneError, match=r"fl.Ray\(...\) needs .* pip install 'fairlane\[ray\]'"):
        fl.compare(build, LR, X, Y, workers=fl.Ray(), verbose=0)


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"gpus": -1}, {"cpus": "2"}, {"gpus": None}, {"memory": True}]
)
def test_numbers_that_are_not_possible(wrong):
    with pytest.raises(fl.StudyError, match=f"{next(iter(wrong))} of fl.Ray must be a number"):
        fl.Ray(**wrong)
