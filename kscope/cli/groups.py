"""Groups of commands that suggest a name for a mistyped one."""

import click

from kscope.errors import did_you_mean


class SuggestingGroup(click.Group):
    """Suggest the nearest command, or list all, for an unknown name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"there is no command '{args[0][:60]}'{near}")
        return super().resolve_command(ctx, args)
