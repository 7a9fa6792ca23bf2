"""A feature whose migration was forgotten: the process runs, and never becomes ready."""

from aiogram import Router
from sqlalchemy.orm import Mapped, mapped_column

from ..models import Base

router = Router(name="never-ready")


class Forgotten(Base):
    __tablename__ = "forgotten"

    id: Mapped[int] = mapped_column(primary_key=True)
