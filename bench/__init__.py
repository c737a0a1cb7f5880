"""What plg costs and how well it holds a schedule, beside the tools one would use instead. See ``bench/README.md``."""
