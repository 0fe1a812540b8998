"""What the programs that tests start import, imported once: nothing here may start a thread or read a setting."""

import sidecar.app
import sidecar.cli.audit
import sidecar.cli.policy
import sidecar.cli.program  # noqa: F401
