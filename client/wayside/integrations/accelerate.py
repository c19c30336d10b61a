"""Hugging Face's Accelerate: `Accelerator(log_with=WaysideTracker("project"))`, or `log_with="wayside"` from 1.15 on,
once this module is imported. Names and steps are those that `accelerator.log` is given.
"""

from typing import Any, Dict, Mapping, Optional

from ..runs import Run
from .adapter import OfItsProcess, base_of, begin, ended, harmless

_Tracker: Any = base_of("accelerate.tracking.GeneralTracker")


class WaysideTracker(OfItsProcess, _Tracker):  # type: ignore[misc]
    """run_name: what `init_trackers` calls it, which is the project, as with W&B. Logs from the main process; with
    main_process_only=False from every one, each a session of the same run. asked: more arguments of `wayside.init`.
    """

    name = "wayside"
    requires_logging_directory = False

    def __init__(self, run_name: str = "accelerate", main_process_only: bool = True, **asked: Any) -> None:
        self.main_process_only = main_process_only
        self._asked: Dict[str, Any] = {"project": run_name, **asked}
        self._run: Optional[Run] = None
        super().__init__(*(() if _Tracker is object else (False,)))

    @property
    def tracker(self) -> Optional[Run]:
        """The run; None in processes that do not log."""
        self.start()
        return self._run

    @harmless
    def start(self) -> None:
        if ended(self._run) and self._logs():
            self._run = begin("accelerate", "accelerate", **self._asked)

    @harmless
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        run = self.tracker
        if run is not None:
            run.config.update(values)

    @harmless
    def log(self, values: Mapping[str, Any], step: Optional[int] = None, **options: Any) -> None:
        run = self.tracker
        if run is not None:
            run.log(dict(values), step=step, commit=options.get("commit"))

    @harmless
    def log_images(self, values: Mapping[str, Any], step: Optional[int] = None, **options: Any) -> None:
        """values: lists of pictures, as `wayside.Image` takes them, by name."""
        run = self.tracker
        if run is not None:
            from ..media.pictures import Image  # when first needed

            run.log({name: [Image(picture) for picture in pictures] for name, pictures in values.items()}, step=step)

    @harmless
    def log_table(
        self, table_name: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: Any = None, **_: Any
    ) -> None:
        run = self.tracker
        if run is not None:
            from ..media.tables import Table  # when first needed

            run.log({table_name: Table(columns=columns, data=data, dataframe=dataframe)}, step=step)

    @harmless
    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()

    def _logs(self) -> bool:
        if not self.main_process_only:
            return True
        state = base_of("accelerate.state.PartialState")
        return state is object or bool(state().is_main_process)


if _Tracker is not object:
    _register = base_of("accelerate.tracking.register_tracker_class")  # there from 1.15 on
    if _register is not object:
        _register(WaysideTracker)
