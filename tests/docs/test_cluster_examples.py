"""The files of ``examples/cluster/``: they run here with stand-ins for SLURM, and are what KubeRay takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import _processes
import fairlane as fl

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
SRUN = '#!/bin/bash\nexec "$@"\n'
SCONTROL = '#!/bin/bash\necho "$@" >> requeued\n'
FAIRLANE = f'#!/bin/bash\nexec {sys.executable} -m fairlane "$@"\n'


@pytest.fixture
def array(tmp_path):
    """Starts a task of the array job, with stand-ins for what is not here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    started = []

    def put(name, text):
        # Not over one that runs: a file that is open for writing can't be started ("Text file busy").
        (folder / f"{name}.new").write_text(text)
        (folder / f"{name}.new").chmod(0o755)
        (folder / f"{name}.new").replace(folder / name)

    put("srun", SRUN)
    put("scontrol", SCONTROL)
    (tmp_path / "train.py").write_bytes((FOLDER / "train.py").read_bytes())

    def start(fairlane=FAIRLANE, task=0):
        if not started:
            put("fairlane", fairlane)
        environment = {
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STORE": str(tmp_path / "runs.db"),
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_ARRAY_JOB_ID": "17",
            "SLURM_ARRAY_TASK_ID": str(task),
        }
        command = ["bash", str(FOLDER / "array.sh")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_tasks_of_the_array_share_the_study(array, tmp_path):
    tasks = [array(task=number) for number in range(2)]
    for task in tasks:
        out, err = task.communicate(timeout=_processes.LIMIT)
        assert task.returncode == 0, err
        assert "learning_rate" in out
        assert "all trials have ended" in err
    study = fl.open(tmp_path / "runs.db", "on a cluster")
    assert study.trials["state"].tolist() == ["done"] * 16
    assert len(study.history) == 160
    assert not (tmp_path / "requeued").exists()


def test_a_task_that_leaves_trials_is_queued_again(array, tmp_path):
    task = array(fairlane="#!/bin/bash\nexit 3\n", task=5)
    task.communicate(timeout=60)
    assert task.returncode == 3
    assert (tmp_path / "requeued").read_text() == "requeue 17_5\n"


def test_a_task_that_can_not_be_done_is_not_queued_again(array, tmp_path):
    task = array(fairlane="#!/bin/bash\nexit 2\n")
    task.communicate(timeout=60)
    assert task.returncode == 2
    assert not (tmp_path / "requeued").exists()


def test_slurm_reads_the_options_of_the_array():
    """Its options stand before the first command, one a line."""
    lines = (FOLDER / "array.sh").read_text(encoding="utf-8").splitlines()
    first = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    options = [line.removeprefix("#SBATCH ") for line in lines[:first] if line.startswith("#SBATCH ")]
    assert options == [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {"--array=0-7", "--time=01:00:00", "--signal=TERM@120", "--requeue"} <= set(options)


JOB = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
CLUSTER = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
CONTAINER = {"name", "image", "env", "resources", "volumeMounts"}
"""Fields of KubeRay's ``ray.io/v1`` and of Kubernetes's pods, as far as the manifest uses them. The operator drops
a field that it does not know, without an error."""


def test_the_manifest_has_what_kuberay_reads():
    """It was checked against the whole schema of KubeRay when it was written; this keeps it as it was."""
    job = yaml.safe_load((FOLDER / "rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(job["spec"]) == JOB
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) == CLUSTER
    assert cluster["authOptions"] == {"mode": "token"}
    assert set(cluster["headGroupSpec"]) == HEAD
    (group,) = cluster["workerGroupSpecs"]
    assert set(group) == GROUP
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for one in (cluster["headGroupSpec"], group):
        assert all(type(value) is str for value in one["rayStartParams"].values())
        pod = one["template"]["spec"]
        (container,) = pod["containers"]
        assert set(container) <= CONTAINER
        assert container["resources"]["requests"] == container["resources"]["limits"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod.get("volumes", [])}
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    head = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert {one["name"] for one in head["env"]} == {"JAX_PLATFORMS", "STORE"}
    assert head["volumeMounts"][0]["mountPath"] == str(Path(job["spec"]["entrypoint"].split()[1]).parent)
