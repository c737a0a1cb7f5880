"""A function for RQ's workers, which import it by its name."""

import time


def charge(order, currency, amount):
    time.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
