"""What scripts use of the module `wandb` beside runs and media, so that `import wayside as wandb` runs them unchanged:
errors, settings, charts, small functions. Names, arguments and return values are those of wandb 0.31; what each does
here stands in docs/drop-in.md.
"""
