"""What connects the toolkit to a notebook: magics, cells that become tasks, and everything that touches ipykernel."""
