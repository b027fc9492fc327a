"""Git: a bare mirror a repository, reverts built without a work tree, compare-and-swap pushes."""
