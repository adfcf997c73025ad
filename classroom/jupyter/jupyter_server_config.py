"""The rules of a class for every student's server: how many lessons stay open, and for how long."""

import os

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

MOST = int(os.environ.get("MHA_LAB_MOST_KERNELS", 2))


class FewKernels(AsyncMappingKernelManager):
    """As ever, but with at most `MOST` kernels: memory is shared by the class."""

    async def start_kernel(self, *args, **kwargs):
        if len(self) >= MOST:
            raise HTTPError(
                403, f"{MOST} notebooks are running already: close one of them (its × ends its kernel), then try again."
            )
        return await super().start_kernel(*args, **kwargs)


c = get_config()  # noqa: F821
c.ServerApp.kernel_manager_class = FewKernels
c.MappingKernelManager.cull_idle_timeout = 1800  # seconds without a page that shows it
c.MappingKernelManager.cull_interval = 120
c.ServerApp.terminals_enabled = False  # a lesson needs none; each would be a shell on your machine
