"""Who may open the agent's socket."""

import os

import pytest
from fastapi import FastAPI

from sidecar.listening import bound


@pytest.mark.parametrize(("group", "mode"), [(False, 0o600), (True, 0o660)])
def test_the_socket_is_the_users_and_where_it_is_wanted_its_folders_groups(tmp_path, group, mode):
    if os.getuid() == 0:
        os.chown(tmp_path, -1, 12_345)  # another than the process's own
    path = tmp_path / "agent.sock"
    with bound(FastAPI(), path, "", group=group):
        assert path.stat().st_mode & 0o777 == mode
        assert not group or path.stat().st_gid == tmp_path.stat().st_gid
