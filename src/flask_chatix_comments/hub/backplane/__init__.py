"""How processes of one hub tell each other what happened; today there is one process."""
