"""The rounds: one flight a lease however many ask, refreshes and retries in time. On a loop that leaps."""

import asyncio

import pytest

from broker.errors import BrokerError, Denied, NotReady, Throttled, Unreachable
from broker.events import LeaseMinted, MintFailed
from broker.model import AwsKeys, IdToken, Lease
from broker.rounds import LONGEST_SLEEP
from broker.secret import Secret
from tests.leaping import START, FakeClock, leap
from tests.made import SERVICE, a_book, a_caller, a_rendered, an_adc
from tests.upstream import Running, gaps, landed, until

DAY = 86_400.0


class TestFlight:
    def test_many_askers_share_one_mint(self):
        """Five thousand workers start at once and upstream hears of one."""

        async def main(clock: FakeClock) -> tuple[int, set[BrokerError | None], Lease | None]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered())
                outcomes = await asyncio.gather(*(landed(play.rounds.ask(keeper)) for _ in range(5000)))
                return len(play.upstream.asked), set(outcomes), keeper.held(clock.now())

        asked, outcomes, lease = leap(main)

        assert (asked, outcomes) == (1, {None})
        assert lease is not None

    def test_callers_that_hang_up_cancel_nothing(self):
        """Neither for the others nor for who comes next."""

        async def main(clock: FakeClock) -> tuple[int, BrokerError | None]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered())
                hung_up = [play.rounds.ask(keeper).add(lambda _: pytest.fail("it hung up")) for _ in range(100)]
                patient = play.rounds.ask(keeper)
                for hang_up in hung_up:
                    hang_up()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(landed(patient), 0.1)
                return len(play.upstream.asked), await landed(patient)

        assert leap(main) == (1, None)

    def test_it_goes_on_when_all_have_hung_up(self):
        """The next one finds a lease."""

        async def main(clock: FakeClock) -> Lease | None:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered())
                play.rounds.ask(keeper).add(lambda _: None)()
                await asyncio.sleep(1)
                return keeper.held(clock.now())

        assert leap(main) is not None

    def test_one_callback_that_fails_costs_neither_lease_nor_neighbour(self):
        """A bug in a connection is that connection's: the mint was good."""

        async def main(clock: FakeClock) -> tuple[list[str], int]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered())
                told: list[str] = []
                errors: list[str] = []
                asyncio.get_running_loop().set_exception_handler(
                    lambda _, context: errors.append(str(context.get("exception")))
                )
                flight = play.rounds.ask(keeper)
                flight.add(lambda _: told.append("before"))
                flight.add(lambda _: told.remove("nothing like that"))
                flight.add(lambda _: told.append("after"))
                await asyncio.sleep(1)
                return told, keeper.failures

        assert leap(main) == (["before", "after"], 0)

    def test_what_is_given_reaches_the_mint(self):
        """An MFA code for the one who typed it, an audience for an ID token."""

        async def main(clock: FakeClock) -> tuple[Secret | None, object]:
            async with Running(clock) as play:
                play.rounds.start(play.rounds.keeper(a_rendered()), Secret("123456"))
                book = a_book(an_adc(audiences=(SERVICE,)))
                named = play.rounds.keeper(book.rendered("data", a_caller().matches[0], SERVICE))
                await landed(play.rounds.ask(named))
                first, second = play.upstream.asked
                assert second.given.mfa_code is None
                assert second.given.audience == SERVICE
                lease = named.held(clock.now())
                return first.given.mfa_code, lease and lease.value

        code, value = leap(main)

        assert code == Secret("123456")
        assert isinstance(value, IdToken)

    def test_a_mint_that_fails_unexpectedly_lands_all_the_same(self):
        """A flight that never lands would leave its lease to die. Its words quote nothing."""

        async def main(clock: FakeClock) -> tuple[BrokerError | None, int, list[object]]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: ZeroDivisionError("a secret")
                (keeper,) = play.keep(a_rendered())
                error = await landed(play.rounds.start(keeper))
                await asyncio.sleep(10)
                return error, len(play.upstream.asked), list(play.noted(MintFailed))

        error, asked, events = leap(main)

        assert isinstance(error, Unreachable)
        assert asked > 2
        assert "a secret" not in str(events)


class TestRefresh:
    def test_a_lease_is_fresh_all_day(self):
        """Never less than 27 minutes of an hour, never two at once, 52 mints a day."""

        async def main(clock: FakeClock) -> tuple[int, float, list[float]]:
            async with Running(clock) as play:
                (keeper,) = play.keep(a_rendered())
                await asyncio.sleep(1)
                least = 3600.0
                while clock.now() < START + DAY:
                    lease = keeper.held(clock.now())
                    assert lease is not None
                    least = min(least, lease.left(clock.now()))
                    await asyncio.sleep(60)
                return len(play.upstream.asked), least, gaps([one.at for one in play.upstream.asked])

        asked, least, pauses = leap(main)

        assert asked == 52
        assert least > 27 * 60
        assert all(1689 < pause < 1692 for pause in pauses)

    def test_every_lease_is_another_one(self):
        """Nobody is given the value of one with the serial of the next."""

        async def main(clock: FakeClock) -> list[tuple[int, str]]:
            async with Running(clock) as play:
                (keeper,) = play.keep(a_rendered())
                seen = []
                for _ in range(3):
                    await asyncio.sleep(1800.5)
                    assert keeper.lease is not None
                    assert isinstance(keeper.lease.value, AwsKeys)
                    seen.append((keeper.lease.serial, keeper.lease.value.access_key_id))
                return seen

        assert leap(main) == [(2, "ASIAtrain-2"), (3, "ASIAtrain-3"), (4, "ASIAtrain-4")]

    def test_who_is_only_asked_for_is_kept_fresh_too(self):
        """From its first mint on."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                await landed(play.rounds.ask(play.rounds.keeper(a_rendered())))
                await asyncio.sleep(3000)
                return len(play.upstream.asked)

        assert leap(main) == 2

    def test_a_suspend_is_noticed_within_seconds(self):
        """The loop's timers slept too: a night is over and the lease with it."""

        async def main(clock: FakeClock) -> tuple[bool, int]:
            async with Running(clock) as play:
                (keeper,) = play.keep(a_rendered())
                await asyncio.sleep(10)
                clock.suspend(8 * 3600)
                over = keeper.held(clock.now()) is None
                await asyncio.sleep(LONGEST_SLEEP + 1)
                assert keeper.held(clock.now()) is not None
                return over, len(play.upstream.asked)

        assert leap(main) == (True, 2)


class TestRetry:
    def test_an_outage_is_outlived_and_healed(self):
        """The held lease is served until 30 s before its end; within a minute of upstream's return there is another."""

        async def main(clock: FakeClock) -> tuple[float, float, float]:
            async with Running(clock) as play:
                (keeper,) = play.keep(a_rendered())
                await asyncio.sleep(1)
                play.upstream.trouble = lambda _: Unreachable("no answer")
                await until(lambda: keeper.held(clock.now()) is None)
                dark = clock.now()
                await asyncio.sleep(1234)
                play.upstream.trouble = lambda _: None
                back = clock.now()
                await until(lambda: keeper.held(clock.now()) is not None)
                return dark - START, clock.now() - back, max(gaps([one.at for one in play.upstream.asked][1:]))

        dark, healed, longest = leap(main)

        assert 3569 <= dark <= 3571
        assert healed <= 61
        assert 0 < longest <= 60.5

    @pytest.mark.parametrize("jitter", [-1.0, 0.0, 1.0])
    def test_retries_back_off_and_spread(self, jitter: float):
        """1, 2, 4 ... 60 s, or down to half of that by luck."""

        async def main(clock: FakeClock) -> list[float]:
            async with Running(clock, lambda: jitter) as play:
                play.upstream.took = 0.0
                play.upstream.trouble = lambda _: Unreachable("no answer")
                play.keep(a_rendered())
                await asyncio.sleep(400)
                return gaps([one.at for one in play.upstream.asked])

        pauses, share = leap(main), 0.75 + 0.25 * jitter

        assert pauses[:8] == pytest.approx([share * full for full in (1, 2, 4, 8, 16, 32, 60, 60)])

    def test_upstreams_wish_is_honoured(self):
        """It said two minutes, so two minutes it is."""

        async def main(clock: FakeClock) -> list[float]:
            async with Running(clock) as play:
                play.upstream.took = 0.0
                play.upstream.trouble = lambda _: Throttled("patience", retry_after=120.0)
                play.keep(a_rendered())
                await asyncio.sleep(400)
                return gaps([one.at for one in play.upstream.asked])

        assert leap(main) == pytest.approx([120.0] * 3)


class TestAsk:
    def test_who_asks_too_early_again_is_told_why_and_when(self):
        """Five thousand workers that ask every second do not hurry upstream."""

        async def main(clock: FakeClock) -> tuple[NotReady, int]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: Unreachable("no answer", code="Timeout", retry_after=100.0)
                keeper = play.rounds.keeper(a_rendered())
                await landed(play.rounds.ask(keeper))
                await asyncio.sleep(40)
                with pytest.raises(NotReady) as caught:
                    play.rounds.ask(keeper)
                return caught.value, len(play.upstream.asked)

        error, asked = leap(main)

        assert (error.code, error.advice) == ("Timeout", "no answer")
        assert error.retry_after == pytest.approx(60)
        assert asked == 1

    def test_a_denial_is_told_as_it_is(self):
        """403, not 503: asking again soon cannot help."""

        async def main(clock: FakeClock) -> list[float]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: Denied("no", code="AccessDenied")
                keeper = play.rounds.keeper(a_rendered())
                await landed(play.rounds.ask(keeper))
                with pytest.raises(Denied, match="no"):
                    play.rounds.ask(keeper)
                await asyncio.sleep(61)
                return gaps([one.at for one in play.upstream.asked])

        assert leap(main) == pytest.approx([30.2, 30.2])

    def test_a_refresh_by_hand_does_not_wait_for_the_next_try(self):
        """Somebody has just mended it."""

        async def main(clock: FakeClock) -> list[object]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: Denied("no")
                keeper = play.rounds.keeper(a_rendered())
                await landed(play.rounds.ask(keeper))
                play.upstream.trouble = lambda _: None
                await landed(play.rounds.start(keeper))
                return list(play.noted(LeaseMinted))

        assert len(leap(main)) == 1
