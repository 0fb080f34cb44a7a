"""`recipe export`: export a run's model for another program."""

from pathlib import Path

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ...runtime.run_folder import find_run
from ...runtime.seals import require_sealed
from ..options import runs_dir_option

QUANTISATIONS = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


@click.command("export")
@click.argument("run")
@click.option("--gguf", "as_gguf", is_flag=True, help="Write a GGUF file for llama.cpp and Ollama (Llama, Qwen2; byte-level BPE).")
@click.option("--quantise", type=click.Choice(QUANTISATIONS), default="f16", show_default=True, help="Storage type of matrices.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: <recipe>-<type>.gguf in the run's directory.")
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(run: str, as_gguf: bool, quantise: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Export the model of RUN: a run's directory, a recipe's name (its newest run), or the folder of a full model.

    Merge the adapter first (`recipe merge RUN`): a run with an adapter is exported from its merged/ folder.
    """
    if not as_gguf:
        raise click.UsageError("choose a format: --gguf")
    folder, file = _source(run, root)
    target = out or file.with_name(f"{file.name}-{quantise}.gguf")
    if target.exists() and not _is_gguf(target):
        raise UserError(Problem(Location(str(target)), "exists and is not a GGUF file", "choose another file with --out", "not-ours"))
    from ...workflows.gguf import write_gguf

    written = write_gguf(folder, target, quantise)
    if as_json:
        facts = {"file": str(target), "model": str(folder), "type": quantise, **written._asdict()}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    what = f"{written.tensors} tensors as {quantise}, {written.tokens:,} vocabulary entries, pre-tokenizer {written.pre_tokenizer}"
    click.echo(f"export    {folder} -> {what}, {written.bytes:,} bytes", err=True)
    if written.needs_nfc:
        click.echo("          its tokenizer normalises text to NFC, llama.cpp does not: give it text in NFC", err=True)
    click.echo(target)


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def _source(name: str, root: Path) -> tuple[Path, Path]:
    """Return the folder of the full model, and the path of the export without its suffix."""
    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        return folder, folder.resolve()
    run = find_run(name, root)
    for made in (run / "merged", run / "model"):
        if (made / "config.json").is_file() and not (made / "adapter_config.json").is_file():
            require_sealed(made)
            return made, run / run.path.resolve().parent.name
    if (run / "model").is_dir():
        raise UserError(Problem(Location(str(run.path)), "has an adapter, but no merged model", f"recipe merge {run.path}", "no-model"))
    raise UserError(Problem(Location(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))
