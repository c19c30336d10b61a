"""What dashboards are made of: a board is rows of panels, a panel a few queries; `build` makes Grafana's own."""

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

TAG = "wayside"  #: by which the dashboards find one another
#: Where the links of a run lead: a collector's or gateway's page, which Prometheus knows nothing of.
PAGE = "http://127.0.0.1:9750"
WIDTH = 24


class Source(NamedTuple):
    """Where queries go: the uid of a data source, or what stands for one."""

    uid: str

    def ref(self) -> models.DataSourceRef:
        return models.DataSourceRef(type_val="prometheus", uid=self.uid)


class Query(NamedTuple):
    """expr: PromQL. legend: the name of each series, from its labels."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """kind: `chart`, `number` or `table`. unit: in Grafana's words. of_run: its series are of runs, and lead there."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "chart"
    width: int = 8
    description: str = ""
    of_run: bool = False


class Variable(NamedTuple):
    """Values of a label, chained by the variables that its selector names."""

    name: str
    selector: str


class Board(NamedTuple):
    """uid: for ever the same, since links lead to it."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[Panel]]]
    pages: bool = True


def build(board: Board, source: Source) -> models.Dashboard:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
        .editable()
        .link(
            dashboard.DashboardLink("Wayside")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    if source.uid == "${datasource}":
        made.with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
    for variable in board.variables:
        made.with_variable(_variable(variable, source))
    if board.pages:
        made.with_variable(dashboard.TextBoxVariable("page").label("Wayside's page").default_value(PAGE))
        link = dashboard.DashboardLink("Runs").type(models.DashboardLinkType.LINK).url("${page}/").target_blank(True)
        made.link(link.icon("external link"))
    for title, panels in board.rows:
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(_panel(panel, source))
    return made.build()


def _variable(variable: Variable, source: Source) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .datasource(source.ref())
        .query({"query": f"label_values({variable.selector}, {variable.name})", "refId": variable.name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(panel: Panel, source: Source) -> timeseries.Panel | stat.Panel | table.Panel:
    made: timeseries.Panel | stat.Panel | table.Panel
    if panel.kind == "table":
        made = table.Panel()
    elif panel.kind == "number":
        made = stat.Panel()
    else:
        made = _chart()
    made = made.title(panel.title).unit(panel.unit).datasource(source.ref()).span(panel.width)
    made = made.height(5 if panel.kind == "number" else 8)
    if panel.description:
        made = made.description(panel.description)
    if panel.of_run:
        run = "${__data.fields.run}" if panel.kind == "table" else "${__field.labels.run}"
        link = dashboard.DashboardLink("The run's page").type(models.DashboardLinkType.LINK)
        made = made.data_links([link.url(f"${{page}}/runs/{run}").target_blank(True)])
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(query, panel.kind, "ABCDEFGH"[number], source))
    return made


def _chart() -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "min", "max"])
        .show_legend(True)
    )
    return timeseries.Panel().legend(legend).fill_opacity(0).line_width(1)


def _target(query: Query, kind: str, name: str, source: Source) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(name).expr(query.expr).datasource(source.ref()).legend_format(query.legend)
    if kind == "chart":
        return made.range()
    return made.instant().format(PromQueryFormat.TABLE if kind == "table" else PromQueryFormat.TIME_SERIES)
