"""What people do with mappings before they run: check, try, compare, draft and freeze them."""
