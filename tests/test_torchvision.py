"""The loader of torchvision, beside a torch that lacks its operators and beside one that has them.

Every test runs in a process of its own: a declared operator stays declared.
"""

import subprocess
import sys
import textwrap


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_loads_and_works():
    out = run(
        """
        import attnsci._torchvision as loader
        vision = loader.load_torchvision()
        again = loader.load_torchvision()
        assert vision is again
        import torch
        from torchvision import models
        from torchvision.transforms import v2
        assert v2.functional.resize(torch.rand(3, 8, 8), [4, 4]).shape == (3, 4, 4)
        assert models.squeezenet1_1(weights=None)(torch.rand(1, 3, 64, 64)).shape == (1, 1000)
        print(torch.version.cuda is None, sorted(loader._declared))
        """
    )
    assert out.startswith(("True", "False"))
    if out.startswith("False"):
        assert out.endswith("[]")


FAKE = """
    import importlib, sys, types
    import torch
    import attnsci._torchvision as loader

    attempts = []
    def load(name):
        attempts.append(sorted(m for m in sys.modules if m.split(".")[0] == "torchvision"))
        sys.modules["torchvision.half"] = types.ModuleType("torchvision.half")
        {behaviour}
        return types.SimpleNamespace(__name__="torchvision")
    real = importlib.import_module
    importlib.import_module = lambda name, *rest: (
        load(name) if name == "torchvision" else real(name, *rest)
    )
"""


def fake(behaviour: str, then: str) -> str:
    return run(textwrap.dedent(FAKE.format(behaviour=behaviour)) + textwrap.dedent(then))


def test_missing_operators_are_declared_one_by_one_and_half_imports_forgotten():
    out = fake(
        'for op in ("fake_a", "fake_b"):\n'
        "            if not hasattr(torch.ops.torchvision, op): "
        'raise RuntimeError(f"operator torchvision::{op} does not exist")',
        """
        loader.load_torchvision()
        print(len(attempts), [a for a in attempts if a], sorted(loader._declared))
        """,
    )
    assert out == "3 [] ['fake_a', 'fake_b']"


def test_a_healthy_installation_has_nothing_declared():
    then = "loader.load_torchvision(); print(len(attempts), loader._declared)"
    assert fake("pass", then) == "1 {}"


def test_other_errors_pass_through():
    out = fake(
        "raise errors[len(attempts) - 1]",
        """
        stubborn = "operator torchvision::fake_stubborn does not exist"
        errors = [
            RuntimeError("something else"),
            ImportError("No module named torchvision"),
            RuntimeError(stubborn),
            RuntimeError(stubborn),
        ]
        for _ in range(3):
            try:
                loader.load_torchvision()
            except (RuntimeError, ImportError) as caught:
                print(len(attempts), caught)
        """,
    )
    assert out.splitlines() == [
        "1 something else",
        "2 No module named torchvision",
        "4 operator torchvision::fake_stubborn does not exist",
    ]
