#!/bin/bash
# Eight processes, each with a GPU, that share the study of train.py:
#     export STORE='postgresql+psycopg://user@host/studies?artifacts=/shared/studies'
#     sbatch array.sh
#SBATCH --array=0-7
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=4
#SBATCH --time=01:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue

cd "${SLURM_SUBMIT_DIR:-.}" || exit 1

# --time-limit ends it at the end of an epoch; TERM, two minutes before SLURM's limit, is for longer epochs.
srun fairlane work --time-limit 55min train.py
status=$?

# 3: trials are left; 4: training hung. The same task takes its place in the queue again, until all have ended.
if [ "$status" -eq 3 ] || [ "$status" -eq 4 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
