"""The page: tabs over the same engine as the API. What imports gradio is loaded behind the server's start."""

EXAMPLES = "examples"  # the folder, among those of what is shown, of photographs that are always there
