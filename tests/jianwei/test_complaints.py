"""What is wrong with a setting is said in the words of a settings file, with what may have been meant."""

from pathlib import Path

import pytest

from jianwei.settings import SettingsProblems, read_settings

KAFKA = '[[sources]]\ntype = "kafka"\ntopics = ["t"]\n'
A_LIST = 'should be a list, such as ["…"]'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (KAFKA + 'servers = "127.0.0.1:1"\n', f"sources[0].servers: {A_LIST}"),
        ('stations = "stations.yaml"\n', f"stations: {A_LIST}"),
        (KAFKA + "tls = true\n", "sources[0].tls: should be a table"),
        ("http = 8642\n", "http: should be a table"),
        ("channels = 1\n", "channels: should be a table"),
        ("[htpp]\nport = 1\n", "htpp: there is no such setting: did you mean http"),
        ("[http]\nprot = 1\n", "http.prot: there is no such setting: did you mean port"),
        (KAFKA + 'grup = "g"\n', "sources[0].grup: there is no such setting: did you mean group"),
        (KAFKA + 'tls = { cart = "c" }\n', "sources[0].tls.cart: there is no such setting: did you mean cert"),
        (
            '[channels.f]\ntype = "file"\nfoldr = "a"\n',
            "channels.f.foldr: there is no such setting: did you mean folder",
        ),
        ("[store]\nsink = true\n", "store.sink: there is no such setting: did you mean sync"),
        (
            '[[routes]]\nchanel = "a"\nchannel = "f"\n',
            "routes[0].chanel: there is no such setting: did you mean channel",
        ),
        ("[http]\nxyzzy = 1\n", "http.xyzzy: there is no such setting: mend its name or take it out"),
    ],
)
def test_a_slip_is_told_with_what_may_have_been_meant(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "jianwei.toml"
    path.write_text(text)
    with pytest.raises(SettingsProblems) as found:
        read_settings(path)
    assert any(problem.startswith(told) for problem in found.value.problems), found.value.problems
