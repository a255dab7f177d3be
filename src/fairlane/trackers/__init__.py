"""Studies, shown in tools that people use already: TensorBoard, MLflow, Weights & Biases.

In: the events of a study, as its store has them. Out: what the tools read. `TensorBoard` and `MLflow` are
told while a study is trained (``compare(trackers=[...])``), and all three afterwards
(`fairlane.Study.to_tensorboard` and its neighbours), with one code: an export is the same events again.
"""

from fairlane.trackers.contract import Facts, Tracker
from fairlane.trackers.mlflow import MLflow
from fairlane.trackers.telling import Telling, replay
from fairlane.trackers.tensorboard import TensorBoard
from fairlane.trackers.wandb import WandB

__all__ = ["Facts", "MLflow", "Telling", "TensorBoard", "Tracker", "WandB", "replay"]
