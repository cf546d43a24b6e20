"""`jianwei episodes`: what the rules found."""

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer

from alerts.ledger import Episode, SqlLedger
from alerts.notices import LEVELS, notice_text
from alerts.requests import Note, SqlRequests
from jianwei.board import STYLES, episode_table
from jianwei.clock import wall_ns
from jianwei.facts import episode_fact, note_fact, transition_fact
from jianwei.moments import HEADING, shown
from jianwei.names import CatalogueNames
from jianwei.nearest import no_such
from jianwei.site import Site, data_folder, read_site
from jianwei.terminal import CONFIG, ConfigOption, JsonOption, fail, out, print_fitted, print_json
from rules.readings import Transition


def episodes(
    config: ConfigOption = CONFIG,
    *,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    station: Annotated[str, typer.Option(help="Only of this station.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 100,
    episode_id: Annotated[
        str, typer.Option("--id", help="This one alone, with its history; the first digits do.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List episodes: level, station, parameter, worst value, the limit with standard and clause, since and until when.

    A limit is called legal only where it was confirmed in its source. Works beside a running service.

    For example:

        jianwei episodes --open
        jianwei episodes --station SW-03 --limit 20 --json
        jianwei episodes --id 3fa2c81b
    """
    folder = data_folder(config)
    site = read_site(config)
    with closing(SqlLedger(folder.ledger_url, [], wall_ns)) as ledger:
        if episode_id:
            with closing(SqlRequests(folder.ledger_url, wall_ns)) as requests:
                one = _the_one(ledger, episode_id)
                _tell_one(one, ledger.transitions(one.id), requests.notes(one.id), site, as_json=as_json)
            return
        found = ledger.episodes(open_only=only_open, station=station or None, limit=limit)
        if station and not found and station not in site.stations:
            fail(no_such("station", station, site.stations))
    if as_json:
        print_json([episode_fact(episode) for episode in found])
    elif found:
        more = f", the newest {limit}" if len(found) == limit else ""
        title = f"事件 Episodes: {len(found)}{more} ({HEADING})"
        print_fitted(episode_table(found, CatalogueNames(site.catalogue, site.stations), title=title, history=True))
    else:
        out.print("no open episodes" if only_open else "no episodes")


def _the_one(ledger: SqlLedger, id_start: str) -> Episode:
    found = ledger.find(id_start.lower())
    if not found:
        fail(f"there is no episode whose id begins with {id_start}")
    if len(found) > 1:
        fail(f"several episodes begin with {id_start}: {', '.join(episode.id for episode in found)}")
    return found[0]


def _tell_one(
    episode: Episode, history: Sequence[Transition], notes: Sequence[Note], site: Site, *, as_json: bool
) -> None:
    if as_json:
        changes = [transition_fact(change) for change in history]
        print_json({**episode_fact(episode), "transitions": changes, "notes": [note_fact(note) for note in notes]})
        return
    names = CatalogueNames(site.catalogue, site.stations)
    print_fitted(episode_table([episode], names, title=f"事件 Episode {episode.id} ({HEADING})", history=True))
    for change in history:
        text = notice_text(change, names)
        level = f"{LEVELS[change.level].zh} {change.level.name.lower()}"
        out.print()
        out.print(
            f"{shown(change.at_ns)} {change.what}, {level}; found {shown(change.found_ns)}", style=STYLES[change.level]
        )
        for part in (text.zh, text.en, change.reason):
            if part:
                out.print(f"  {part}", markup=False)
    for note in notes:
        out.print(f"\n{shown(note.noted_ns)} 备注 note, {note.by}", style="bold", markup=False)
        for part in (note.zh, note.en):
            out.print(f"  {part}", markup=False)
