"""What to choose: the decision page from the register and the records, and three briefs that judge a choice.

choosing.page()                     every decision: what to begin with, why, what it costs, when not
choosing.chat(kv_heads=8, …)        what a choice makes of a brief, need by need
"""

from mha_lab.choosing.briefs import CHAT, CHAT_MODEL, LAPTOP, PHONE, PHONE_MODEL, chat, laptop, phone
from mha_lab.choosing.decisions import Decision, Evidence
from mha_lab.choosing.judged import Judgement, Need
from mha_lab.choosing.questions import DIMENSIONS, QUESTIONS, Point, Question
from mha_lab.choosing.sheet import Sheet, page
from mha_lab.choosing.shown import draw_caches, draw_heads

__all__ = [
    "CHAT",
    "CHAT_MODEL",
    "DIMENSIONS",
    "Decision",
    "Evidence",
    "Judgement",
    "LAPTOP",
    "Need",
    "PHONE",
    "PHONE_MODEL",
    "Point",
    "QUESTIONS",
    "Question",
    "Sheet",
    "chat",
    "draw_caches",
    "draw_heads",
    "laptop",
    "page",
    "phone",
]
