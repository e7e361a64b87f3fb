"""``frbias recipes``: ways to fine-tune that come with frbias, with what they did to photographs."""

from typing import Annotated

import typer

from frbias.cli import console


def command(
    name: Annotated[str | None, typer.Argument(help="Show this one: its options, ready to be copied.")] = None,
) -> None:
    """List the recipes of 'frbias finetune --recipe', with what was measured.

    [bold]Examples[/bold]

        frbias recipes

        frbias recipes thesis
    """
    import json

    from frbias.core.training.recipes import read_recipe, recipe_names

    found = [read_recipe(one) for one in ([name] if name else recipe_names())]

    def human() -> None:
        for recipe in found:
            console.say(f"[bold]{recipe.name}[/bold]: {recipe.about}")
            console.say(f"  Photographs: {recipe.measured}")
            if name:
                console.say("\n\\[finetune]")
                for key, value in recipe.options.items():
                    console.say(f"{key} = {json.dumps(value)}")

    values = [{"name": r.name, "about": r.about, "measured": r.measured, "options": dict(r.options)} for r in found]
    console.result(values, human)
