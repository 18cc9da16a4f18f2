"""Settings of RAM are data: read without torch."""

import subprocess
import sys


def test_settings_need_no_torch():
    code = "import attnsci.families.ram.recipes, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
