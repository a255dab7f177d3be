"""Who a study is: what was requested, the settings and versions, the machine and the commit."""
