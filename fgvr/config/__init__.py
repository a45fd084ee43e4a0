"""From YAML files and options to objects: names, files, the parser, Lightning's command line without its commands."""
