"""Studies, shown in other tools: TensorBoard, MLflow, Weights & Biases.

In: the events of a study, once its store has them. Out: what the tools read. `TensorBoard` and `MLflow` can
receive events while a study is trained (``compare(trackers=[...])``), and all three afterwards
(`fairlane.Study.to_tensorboard`, `to_mlflow`, `to_wandb`). The code is the same: an export is the same events
again.
"""

from fairlane.trackers.contract import Facts, Tracker, plain
from fairlane.trackers.delivery import LiveTrackers, replay
from fairlane.trackers.mlflow import MLflow
from fairlane.trackers.tensorboard import TensorBoard
from fairlane.trackers.wandb import WandB

__all__ = ["Facts", "LiveTrackers", "MLflow", "TensorBoard", "Tracker", "WandB", "plain", "replay"]
