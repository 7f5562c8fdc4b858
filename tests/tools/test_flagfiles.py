"""Every flagfile is a job that `grow.py` would accept."""

import json
import subprocess
import sys

import pytest
from tool_runs import ROOT

from tf_splitting import models

EXPERIMENTS = ROOT / "flags" / "experiments"
SHARED = {"imagenet", "cifar100"}
ROWS = {
    *(f"mobilenet_v1_splitting_{k}" for k in range(5)),
    *(f"mobilenet_v2_splitting_{k}" for k in range(4)),
    *(f"mobilenet_v{v}_{m}x" for v in (1, 2) for m in ("0.5", "0.75", "1.0")),
}

# All in one process, with parsers of their own: absl flags are global.
PARSE = """
import json, pathlib, sys
sys.path[:0] = ["."]
import tf_splitting_programs.commands.grow
from absl import flags
values = {}
for file in sorted(pathlib.Path("flags/experiments").glob("*.flags")):
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["grow", f"--flagfile={file}"])
    values[file.stem] = flags.FLAGS.flag_values_dict()
print(json.dumps(values))
"""


@pytest.fixture(scope="module")
def jobs():
    process = subprocess.run(
        [sys.executable, "-c", PARSE], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_there_is_one_for_every_row(jobs):
    assert jobs.keys() - SHARED >= ROWS


def test_jobs_name_known_models_and_either_grow_or_do_not(jobs):
    for name in jobs.keys() - SHARED:
        values = jobs[name]
        assert values["model"] in models.names(), name
        assert values["grow"] == (values["target_macs"] is not None), name
        assert values["final_epochs"] > 0, name


def test_rows_of_a_table_train_equally_long(jobs):
    for name in ROWS:
        values = jobs[name]
        rounds = values["rounds"] if values["grow"] else 0
        assert rounds * values["epochs"] + values["final_epochs"] == 120, name
        assert values["dataset"] == "imagenet2012", name


def test_a_family_has_the_budgets_of_its_rows(jobs):
    for version, rows in ((1, range(1, 5)), (2, range(1, 4))):
        family = jobs[f"mobilenet_v{version}_family"]
        alone = [jobs[f"mobilenet_v{version}_splitting_{row}"] for row in rows]
        assert family["target_macs"] == [row["target_macs"] for row in alone]
        # The largest trains as long as by itself.
        assert len(alone) * family["epochs"] + family["final_epochs"] == 120
        own = {"target_macs", "rounds", "final_epochs", "flagfile"}
        for row in alone:
            same = {name: value for name, value in row.items() if name not in own}
            assert {**family, **same} == family


def test_the_readme_names_the_published_budgets(jobs):
    readme = (EXPERIMENTS / "README.md").read_text()
    for name in ROWS:
        target = jobs[name]["target_macs"]
        assert target is None or f"{target / 1e9:.3f}" in readme, name
