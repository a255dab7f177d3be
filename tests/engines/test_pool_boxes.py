"""What goes between a worker's training and its line: messages go together, and who hangs gives no sign of life."""

import threading

from fairlane.engines.pool import boxes
from fairlane.engines.pool.messages import Happened
from fairlane.trials import Checkpoint


def test_a_worker_whose_training_hangs_gives_no_sign_of_life(monkeypatch, capsys):
    monkeypatch.setattr(boxes, "_HOURS_OF_PATIENCE", -1)  # from the first moment on
    line, heard = boxes.Boxes(), []
    line.send("hello")
    assert line.said() == ["hello"]
    assert not line.alive()
    assert (
        "no epoch and no trial has begun or ended for -1 h, so it counts as hung" in capsys.readouterr().err
    )
    waits = threading.Thread(target=lambda: heard.append(line.next(wait=True)))
    waits.start()
    while not line.alive():  # it waits for its driver
        pass
    line.arrived("work")
    waits.join()
    assert heard == ["work"]
    assert not line.alive()


def test_what_a_worker_says_goes_together_and_a_checkpoint_is_waited_for():
    line, gone = boxes.Boxes(), []

    def goes():
        while len(gone) < 5:
            said = line.said(0.1)
            gone.extend(said)
            line.gone(said)

    for number in range(4):
        line.send(number)
    assert line.said(0) == [0, 1, 2, 3]
    line.gone(range(4))
    assert line.said(0) == []
    sender = threading.Thread(target=goes)
    sender.start()
    for number in range(4):
        line.send(number)
    line.send(Happened(0, Checkpoint(None, 1, None, {})))
    assert len(gone) == 5  # whatever becomes of this process now
    sender.join()
