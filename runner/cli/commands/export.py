"""`recipe export`: a run's model in the form that another program takes."""

from pathlib import Path

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ...runtime.run_folder import RUNS, find_run

RECORD_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


@click.command("export")
@click.argument("run")
@click.option("--gguf", "as_gguf", is_flag=True, help="As one GGUF file, for llama.cpp and Ollama: Llamas with a byte-level BPE tokenizer.")
@click.option("--quantise", type=click.Choice(RECORD_TYPES), default="f16", help="How matrices are stored. Default: f16.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write. Default: <recipe>-<type>.gguf in the run's directory.")
@click.option("--runs", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def command(run: str, as_gguf: bool, quantise: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Export the model of RUN: a run's directory, a recipe's name for its newest run, or a folder with a whole model.

    A run that trained an adapter is exported from its merged/: recipe merge comes first.
    """
    if not as_gguf:
        raise click.UsageError("say as what: --gguf")
    folder, file = _source(run, root)
    target = out or file.with_name(f"{file.name}-{quantise}.gguf")
    if target.exists() and not _is_gguf(target):
        raise UserError(Problem(Location(str(target)), "exists and is no GGUF file", "choose another file with --out", "not-ours"))
    from ...workflows.gguf import write_gguf

    written = write_gguf(folder, target, quantise)
    if as_json:
        facts = {"file": str(target), "model": str(folder), "type": quantise, **written._asdict()}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    what = f"{written.tensors} tensors as {quantise}, {written.tokens:,} tokens cut as {written.pre_tokenizer} cuts them"
    click.echo(f"export    {folder} -> {what}, {written.bytes:,} bytes", err=True)
    click.echo(target)


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def _source(name: str, root: Path) -> tuple[Path, Path]:
    """The folder with the whole model, and the file beside which its export stands, without an ending."""
    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        return folder, folder.resolve()
    run = find_run(name, root)
    for made in (run / "merged", run / "model"):
        if (made / "config.json").is_file() and not (made / "adapter_config.json").is_file():
            return made, run / run.path.resolve().parent.name
    if (run / "model").is_dir():
        raise UserError(Problem(Location(str(run.path)), "has an adapter, no whole model", f"recipe merge {run.path}", "no-model"))
    raise UserError(Problem(Location(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))
