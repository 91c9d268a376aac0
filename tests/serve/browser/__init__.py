"""The tests of the page: a package, so that its tests share a browser, which ends with the last of them."""
