"""Methods: LightningModules that turn a backbone into a classifier over the label space."""
