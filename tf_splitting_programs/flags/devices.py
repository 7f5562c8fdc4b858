"""Which devices a job runs on."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice, define_text

DISTRIBUTE = define_choice(
    "distribute",
    "auto",
    ("auto", "none", "mirrored", "data_parallel"),
    "Whether batches are divided over devices: none; mirrored, over the GPUs of this "
    "host (TensorFlow backend); data_parallel, over the devices of all hosts (JAX "
    "backend); auto, the backend's way if there are several GPUs or TPUs.",
)
COORDINATOR = define_text(
    "coordinator",
    None,
    "Address of the first process, host:port, where a job has one process per host "
    "(JAX backend). All get the same flags, but for --process_id, and the same "
    "--workdir.",
)
PROCESSES = flags.DEFINE_integer(
    "processes", 1, "How many processes share the job.", lower_bound=1
)
PROCESS_ID = flags.DEFINE_integer(
    "process_id", 0, "Number of this process, from 0.", lower_bound=0
)
