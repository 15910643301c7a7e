"""Which engine the caller wants for a bundle, and what it may use of the machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .. import arguments, spelling
from ..engines import ENGINES, PRECISIONS, device_name


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """The arguments of `Segmenter.load` that choose and limit the engine, as the caller gave them.

    Attributes:
        engine: name of a row in `ENGINES`, or ``"auto"``.
        precision: one of `PRECISIONS`, or ``"auto"``.
        device: name of one of an engine's `inference_devices`, or ``"auto"`` for the fastest one.
        threads: number of CPU threads; None for all that this process may use. If engine and precision are given too,
            the model runs in one stream, and nothing but devices is compared.
        memory_limit: bytes this process may hold; additional streams must leave most of it free. None for all free
            memory.
        self_test: whether to test; False opens the default, fp32 on the preferred engine, without test, trials and
            cache.
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    memory_limit: int | None = None
    self_test: bool = True

    def with_auto_as(
        self, engine: str | None = None, precision: str | None = None, device: str | None = None
    ) -> EngineRequest:
        """Returns the same request with these names where it says ``"auto"``; None leaves that."""
        return replace(
            self,
            engine=engine if engine and self.engine == "auto" else self.engine,
            precision=precision if precision and self.precision == "auto" else self.precision,
            device=device if device and self.device == "auto" else self.device,
        )

    def checked(self) -> EngineRequest:
        """Checks the request, on the machine that opens the engine: another one may have other engines.

        Returns:
            The same request, names in the tables' spelling; NumPy's numbers became Python's.

        Raises:
            UsageError: a value has the wrong type or is out of range, or there is no such engine.
        """
        return replace(
            self,
            threads=arguments.optional(arguments.whole_number, "threads", self.threads, 1, arguments.MOST_THREADS),
            memory_limit=arguments.optional(arguments.whole_number, "memory_limit", self.memory_limit, 1),
            self_test=arguments.flag("self_test", self.self_test),
            engine=spelling.known("engine", self.engine, ("auto", *ENGINES)),
            precision=spelling.one_of("precision", self.precision, ("auto", *PRECISIONS)),
            device=device_name(arguments.text("device", self.device)),
        )
