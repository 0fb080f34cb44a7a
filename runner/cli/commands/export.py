"""`recipe export`: write a run's model as a GGUF file, for llama.cpp and Ollama."""

from pathlib import Path

import click

from .. import completion
from ..options import json_option, print_json, runs_dir_option

QUANTISATIONS = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


@click.command("export")
@click.argument("run", shell_complete=completion.runs)
@click.option("--quantise", type=click.Choice(QUANTISATIONS), default="f16", show_default=True, help="Storage type of matrices.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: <recipe>-<type>.gguf in the run's directory.")
@runs_dir_option
@json_option
def command(run: str, quantise: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Write the model of RUN as a GGUF file for llama.cpp and Ollama (Llama, Mistral, Qwen2, Phi-3, Gemma 2).

    RUN is a run's directory, a recipe's name (its newest run), or the folder of a full model.
    Merge an adapter first (`recipe merge RUN`): its run is exported from merged/.
    """
    from ...workflows.gguf import export_source, write_gguf

    folder, file = export_source(run, root)
    target = out or file.with_name(f"{file.name}-{quantise}.gguf")
    written = write_gguf(folder, target, quantise)
    if as_json:
        facts = {"file": str(target), "model": str(folder), "type": quantise, **written._asdict()}
        print_json(facts)
        return
    what = f"{written.tensors} tensors as {quantise}, {written.tokens:,} vocabulary entries, pre-tokenizer {written.pre_tokenizer}"
    click.echo(f"export    {folder} -> {what}, {written.bytes:,} bytes", err=True)
    for note in written.notes:
        click.echo(f"          {note}", err=True)
    click.echo(target)
