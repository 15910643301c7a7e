"""The page of a service with a token: it asks for it, and says what is wrong with another one."""

from .running import running

TOKEN = "0123456789abcdef0123456789abcdef"


def enter(page, token):
    page.find("#token").send_keys(token)
    page.find("#ask button").click()


def test_a_token_is_asked_for_once(browser, toy_bundle):
    with running(toy_bundle, token=TOKEN) as client:
        browser.driver.get(str(client.base_url))
        browser.wait(lambda: browser.find("#ask").is_displayed())
        enter(browser, TOKEN)
        browser.wait_for_status("Ready")
        browser.open(str(client.base_url))


def test_a_token_that_is_wrong_or_cannot_be_one_is_asked_for_again(browser, toy_bundle):
    with running(toy_bundle, token=TOKEN) as client:
        browser.driver.get(str(client.base_url))
        browser.wait(lambda: browser.find("#ask").is_displayed())
        assert browser.text("ask-why") == ""
        for wrong, why in ((TOKEN[:-1] + "€", "English keyboard"), (TOKEN[:-1], "did not accept this token")):
            enter(browser, wrong)
            browser.wait(lambda why=why: why in browser.text("ask-why"))
        enter(browser, f" {TOKEN} ")
        browser.wait_for_status("Ready")


def test_a_token_that_was_changed_meanwhile_is_said_plainly(browser, toy_bundle, scan):
    with running(toy_bundle, token=TOKEN) as client:
        browser.driver.get(str(client.base_url))
        browser.wait(lambda: browser.find("#ask").is_displayed())
        enter(browser, TOKEN)
        browser.wait_for_status("Ready")
    with running(toy_bundle, token=TOKEN[::-1], port=client.base_url.port):
        browser.give([scan])
        browser.wait_for_status("The request was refused")
        assert browser.text("message").endswith("The service asks for another token; reload the page to enter it.")
