"""Groups of commands that know what a mistyped name may mean."""

from __future__ import annotations

import click

from kscope.errors import did_you_mean


class SuggestingGroup(click.Group):
    """Names the nearest command, or all, for a name that is none."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"there is no command '{args[0][:60]}'{near}")
        return super().resolve_command(ctx, args)
