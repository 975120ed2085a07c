"""What ptxas -v says of each kernel, as a table: ptxas_table.py FOLDER, with a .log beside each .o.

Fails where a kernel spills or has a stack frame.
"""

import re
import subprocess
import sys
from pathlib import Path

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def kernels(log):
    """(name, arch, stack, spills, registers, shared memory) of each kernel; device functions are left out."""
    found = []
    for part in re.split(r"(?=ptxas info\s*: Compiling entry)", log)[1:]:
        name, arch = ENTRY.search(part).groups()
        stack, stores, loads = map(int, MEMORY.search(part).groups())
        shared = SHARED.search(part)
        found.append((name, arch, stack, stores + loads, int(USED.search(part)[1]), int(shared[1]) if shared else 0))
    return found


def readable(names):
    plain = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return [re.sub(r"^void |\(anonymous namespace\)::|quire::cuda::", "", n).split("(quire", 1)[0] for n in plain.split("\n")]


def main(folder):
    rows, bad = [], 0
    for log in sorted(folder.glob("*.log")):
        object_bytes = log.with_suffix(".o").stat().st_size
        found = kernels(log.read_text())
        print(f"{log.stem}: {object_bytes // 1024} KiB, {len(found)} kernels")
        rows += found
    if not rows:
        sys.exit("no kernel in the logs of ptxas")
    names = readable([row[0] for row in rows])
    print(f"\n{'arch':7} {'registers':>9} {'spills':>6} {'stack':>6} {'smem':>6}  kernel")
    for (_, arch, stack, spills, registers, shared), name in zip(rows, names):
        wrong = stack + spills > 0
        bad += wrong
        print(f"{arch:7} {registers:9} {spills:6} {stack:6} {shared:6}  {name}{'  SPILLS' if wrong else ''}")
    if bad:
        sys.exit(f"{bad} kernels keep values in local memory")


main(Path(sys.argv[1]))
