"""What the records say: pure functions over frames that know no backend and no clock."""
