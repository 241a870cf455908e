"""The addresses that open a lesson follow from the repository's; without one there is none."""

import pytest

from tocdemo.errors import BadInput
from tocdemo.site.addresses import Addresses, configured

NOTEBOOK = "notebooks/01_alone_and_together.ipynb"


def test_nothing_is_linked_that_is_not_set():
    assert Addresses().of(NOTEBOOK) == {}
    assert Addresses(hub="https://hub.example.org").of(NOTEBOOK) == {}


def test_the_addresses_lead_to_the_notebook():
    found = Addresses("https://github.com/someone/tocdemo", "next/step", "https://hub.example.org/").of(
        NOTEBOOK
    )
    assert found == {
        "JupyterLab": "https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fsomeone"
        "%2Ftocdemo&branch=next%2Fstep&urlpath=lab%2Ftree%2Ftocdemo%2Fnotebooks%2F01_alone_and_together.ipynb",
        "Binder": "https://mybinder.org/v2/gh/someone/tocdemo/next%2Fstep"
        "?urlpath=lab%2Ftree%2Fnotebooks%2F01_alone_and_together.ipynb",
        "Codespaces": "https://codespaces.new/someone/tocdemo/tree/next/step?quickstart=1",
    }
    assert set(Addresses("https://github.com/someone/tocdemo.git").of(NOTEBOOK)) == {"Binder", "Codespaces"}


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(BadInput, match=r"expected a repository such as https:.*, found 'tocdemo'"):
        Addresses("tocdemo")
    with pytest.raises(BadInput, match="expected a JupyterHub"):
        Addresses(hub="hub")


def test_the_settings_are_the_projects(tmp_path):
    settings = '[tool.tocdemo.site]\nrepository = "https://github.com/a/b"\nbranch = "c"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    assert configured(tmp_path) == Addresses("https://github.com/a/b", "c")
    assert configured(tmp_path, "https://github.com/d/e") == Addresses("https://github.com/d/e", "c")
    (tmp_path / "pyproject.toml").write_text("")
    assert configured(tmp_path) == Addresses()
    (tmp_path / "pyproject.toml").write_text('[tool.tocdemo.site]\nplace = "x"\n')
    with pytest.raises(BadInput, match="unknown place"):
        configured(tmp_path)
