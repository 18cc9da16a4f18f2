import pkgutil

import attnsci.scanpaths


def test_no_module_hides_a_public_name():
    # Importing a submodule sets an attribute of its name on the package.
    modules = {module.name for module in pkgutil.iter_modules(attnsci.scanpaths.__path__)}
    assert not modules & set(attnsci.scanpaths.__all__)


def test_every_public_name_is_there_and_no_module():
    for name in attnsci.scanpaths.__all__:
        found = getattr(attnsci.scanpaths, name)
        assert type(found).__name__ != "module", name
    assert callable(attnsci.scanpaths.metrics)
