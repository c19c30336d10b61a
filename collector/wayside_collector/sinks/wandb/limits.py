"""What the W&B sink may take of memory, time and connections: each limit with its default and the reason for it.

Not options: nobody has had a reason to change one. What happens at a limit is counted or said in an error text.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds.

    open_runs: runs the child holds open, the longest unused is closed for another; one costs it about 1 MB.
    idle_close: after so long without rows a run is closed, to be resumed by its next row; evaluations of ten minutes
    without a row are common. linger: the same for a finished run that got late rows. aloft: lines and samples on
    their way at once, that is in memory here and in the SDK. known_runs: runs whose last step is kept with the
    cursor; a run forgotten is resumed from what W&B says. upstream_timeout: for one request to W&B; its own load
    balancers give up after 60. connect_timeout: a server that is there answers in one. pause: between two tries of
    a held request, at least; the upload interval where that is longer. requests: to W&B for one request of the SDK,
    when lines it refuses must be found. command_timeout: for what the child does without the network. init_timeout:
    for opening a run. flush_interval: offline, how often the SDK writes its file; a send waits for it. drain: for
    requests still under way when a run is opened anew. behind: for W&B to show rows it has acknowledged, before they
    are given up for deleted. tend_interval: between two looks at idle runs and at the folder.
    """

    open_runs: int = 32
    idle_close: float = 600.0
    linger: float = 30.0
    aloft: int = 50_000
    known_runs: int = 1024
    upstream_timeout: float = 60.0
    connect_timeout: float = 10.0
    pause: float = 2.0
    requests: int = 200
    command_timeout: float = 60.0
    init_timeout: float = 30.0
    flush_interval: float = 0.5
    drain: float = 10.0
    behind: float = 120.0
    tend_interval: float = 5.0
