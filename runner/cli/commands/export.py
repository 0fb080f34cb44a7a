"""`recipe export`: export a run's model for another program."""

from pathlib import Path

import click

from ..options import json_option, print_json, runs_dir_option

QUANTISATIONS = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


@click.command("export")
@click.argument("run")
@click.option("--gguf", "as_gguf", is_flag=True, help="Write a GGUF file for llama.cpp and Ollama (Llama, Mistral, Qwen2, Phi-3, Gemma 2).")
@click.option("--quantise", type=click.Choice(QUANTISATIONS), default="f16", show_default=True, help="Storage type of matrices.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: <recipe>-<type>.gguf in the run's directory.")
@runs_dir_option
@json_option
def command(run: str, as_gguf: bool, quantise: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Export the model of RUN: a run's directory, a recipe's name (its newest run), or the folder of a full model.

    Merge the adapter first (`recipe merge RUN`): a run with an adapter is exported from its merged/ folder.
    """
    if not as_gguf:
        raise click.UsageError("choose a format: --gguf")
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
