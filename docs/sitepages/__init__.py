"""What the site has beyond the pages of docs/: commands, options, model cards, files that pages link to, formulas."""
