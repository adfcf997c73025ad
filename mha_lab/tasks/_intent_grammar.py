"""What customers of a loan bank say: the words of the grammar behind `tasks.intents`, all of our own writing.

Marks within a phrase: <a term of the trade>, [a negation], (what says which comes first), #an ordinal or other number#.
Slots: {v} a request; {a} the request to be handled first, {b} and {c} later ones; | parts the clauses of a template;
{day} {months} {points} {amount} {rate} numbers.
"""

from typing import NamedTuple


class Intent(NamedTuple):
    """One label: its key, and its name in Chinese and in English."""

    key: str
    zh: str
    en: str


INTENTS = tuple(
    Intent(*names)
    for names in (
        ("prepay", "提前还款", "early repayment"),
        ("prepayment_penalty", "提前还款违约金", "prepayment penalty"),
        ("repayment_date", "改还款日", "change of repayment date"),
        ("late_fee", "逾期罚息", "late fee"),
        ("deferral", "延期还款", "payment deferral"),
        ("lpr_repricing", "LPR重定价", "LPR repricing"),
        ("rate_spread", "利率加点", "rate spread in basis points"),
        ("insurance", "贷款保险", "loan insurance"),
        ("credit_limit", "提高额度", "credit limit"),
        ("statement", "账单明细", "statement"),
        ("invoice", "开发票", "invoice"),
        ("repayment_card", "换还款卡", "change of repayment card"),
        ("settlement_proof", "结清证明", "settlement certificate"),
        ("approval_status", "审批进度", "approval status"),
        ("credit_report", "征信异议", "credit report dispute"),
        ("phone_number", "改手机号", "change of phone number"),
        ("none", "没有要办的事", "no request"),
    )
)

# Requests, by intent ("none" is the label where nobody wants anything for themselves, now). Every one fits after "我想"
# or "I want to". Near intents share words on purpose: 违约金 alone is no answer, be it for paying early or late.
REQUESTS = {
    "zh": {
        "prepay": ("申请<提前还款>", "<提前还>清贷款", "<提前还>一部分<本金>", "把剩下的<本金>一次还清"),
        "prepayment_penalty": (
            "问<提前还款>的<违约金>",
            "算<提前还>清要交多少<违约金>",
            "了解<提前还款>收不收<手续费>",
            "减免<提前还款><违约金>",
        ),
        "repayment_date": ("改<还款日>", "把<还款日>换到每月#{day}#号", "调整每月的<扣款日>", "推迟每月的<还款日>"),
        "late_fee": ("查<逾期>的<罚息>", "问<逾期>的<违约金>", "减免<逾期>产生的费用", "算<逾期>要交多少<罚息>"),
        "deferral": (
            "申请<延期还款>",
            "把这一期往后推#{months}#个月",
            "<延期>#{months}#个月再还",
            "缓几个月再还<本金>",
        ),
        "lpr_repricing": (
            "把<利率>换成<LPR>",
            "改<LPR>的<重定价日>",
            "按新的<LPR>重新<定价>",
            "问<LPR>什么时候<重定价>",
        ),
        "rate_spread": (
            "问<LPR>上加几个<基点>",
            "查<利率>加了多少<基点>",
            "少加#{points}#个<基点>",
            "把<利率>谈到#{rate}#",
        ),
        "insurance": ("买还款<保险>", "给贷款加一份<保险>", "办<信用保险>", "了解贷款的<保险>"),
        "credit_limit": ("提高<额度>", "把<额度>提到#{amount}#元", "申请临时<额度>", "查我的可用<额度>"),
        "statement": ("查这个月的<账单>", "打印<还款明细>", "下载<电子账单>", "核对<账单>里#{amount}#元这一笔"),
        "invoice": ("开<发票>", "把<利息>开成<发票>", "补一张<电子发票>", "把#{amount}#元的<发票>寄给我"),
        "repayment_card": ("换<扣款卡>", "绑一张新的<银行卡>", "把还款<账户>换成别的卡", "从别的<账户>扣款"),
        "settlement_proof": ("开<结清证明>", "拿贷款的<结清证明>", "申请<结清>的文件", "下载<结清证明>"),
        "approval_status": ("查<审批>进度", "问贷款<审批>到哪一步", "催贷款快点<放款>", "看#{amount}#元的贷款批没批"),
        "credit_report": ("查<征信>记录", "改<征信>上的错误", "对<征信>提出<异议>", "消掉<征信>上的<逾期>"),
        "phone_number": ("改预留的<手机号>", "换绑定的<手机号>", "更新<联系电话>", "用新的<手机号>登录"),
    },
    "en": {
        "prepay": (
            "<repay> my loan <early>",
            "<prepay> the rest of the loan",
            "pay off part of the <principal> <early>",
            "make an <early> <repayment> of #{amount}#",
        ),
        "prepayment_penalty": (
            "ask about the <prepayment> <penalty>",
            "know what <fee> an <early> <repayment> costs",
            "get the <penalty> for <prepayment> waived",
            "work out the <penalty> if I <repay> <early>",
        ),
        "repayment_date": (
            "change my <repayment> <date>",
            "move the <due> <date> to day #{day}#",
            "pick another <due> <date>",
            "have the <payment> <date> set later in the month",
        ),
        "late_fee": (
            "ask about the <late> <fee>",
            "get the <penalty> for a <late> <payment> waived",
            "know what an <overdue> <payment> costs",
            "dispute the <late> <payment> <interest>",
        ),
        "deferral": (
            "<defer> a <payment>",
            "<postpone> my <repayment> by #{months}# months",
            "take a <payment> <holiday>",
            "skip #{months}# months of <principal>",
        ),
        "lpr_repricing": (
            "switch my <rate> to the <LPR>",
            "change the <LPR> <repricing> <date>",
            "have the loan <repriced> at the new <LPR>",
            "know when the <LPR> is <repriced>",
        ),
        "rate_spread": (
            "know how many <basis> <points> are added to the <LPR>",
            "ask about the <spread> on my <rate>",
            "have #{points}# <basis> <points> taken off",
            "bring my <rate> down to #{rate}#",
        ),
        "insurance": (
            "buy loan <insurance>",
            "add <insurance> to my loan",
            "take out <payment> <protection> <insurance>",
            "hear about your <insurance>",
        ),
        "credit_limit": (
            "raise my <credit> <limit>",
            "have the <limit> set to #{amount}#",
            "get a temporary <limit>",
            "check the <limit> I have left",
        ),
        "statement": (
            "see this month's <statement>",
            "print the <repayment> <statement>",
            "download my <statement>",
            "check #{amount}# on my <statement>",
        ),
        "invoice": (
            "get an <invoice>",
            "have the <interest> put on an <invoice>",
            "receive a new <invoice> by email",
            "have the <invoice> for #{amount}# sent again",
        ),
        "repayment_card": (
            "change my <repayment> <card>",
            "link a new <bank> <card>",
            "pay from another <account>",
            "replace the <account> you <debit>",
        ),
        "settlement_proof": (
            "get a <settlement> <certificate>",
            "have proof that the loan is <settled>",
            "download the <settlement> letter",
            "request a paper that says the loan is <settled>",
        ),
        "approval_status": (
            "check the <approval> of my loan",
            "know how far my <application> is",
            "speed up the <payout> of the loan",
            "see if the loan of #{amount}# is <approved>",
        ),
        "credit_report": (
            "see my <credit> <report>",
            "correct a mistake on my <credit> <report>",
            "dispute my <credit> <record>",
            "remove an <overdue> entry from my <credit> <record>",
        ),
        "phone_number": (
            "change my <phone> number",
            "update the <phone> number you have",
            "link a new <mobile> number",
            "log in with my new <mobile> number",
        ),
    },
}

# Clauses around one request, by what they make of it. Only the first kind counts: said for oneself, of now.
CLAUSES = {
    "zh": {
        "wanted": (
            "我想{v}",
            "请帮我{v}",
            "我要{v}",
            "麻烦{v}",
            "我现在需要{v}",
            "{v}，这件事请帮我办",
            "我来是想{v}",
            "{v}",
        ),
        "negated": (
            "我[不]需要{v}",
            "我[不]想{v}",
            "[不用]帮我{v}",
            "我[没]打算{v}",
            "[别]给我{v}",
            "{v}就[不用]了",
            "我[不]是来{v}的",
        ),
        "other": (
            "我爱人想{v}",
            "我同事要{v}",
            "我妈妈需要{v}",
            "我朋友也请你们{v}",
            "{v}是我弟弟的事",
            "想{v}的是我老板",
        ),
        "past": (
            "上个月我要{v}，已经办好了",
            "去年我来{v}过一次",
            "昨天请你们{v}，解决了",
            "{v}这件事上周办完了",
            "之前我想{v}，后来办好了",
        ),
        "double": ("我[不]是[不]想{v}", "我[不]会[不]需要{v}", "[没]说[不]用帮我{v}"),
    },
    "en": {
        "wanted": (
            "I want to {v}",
            "please help me to {v}",
            "I would like to {v}",
            "I need to {v} now",
            "to {v} is why I write",
            "could you help me {v}",
            "I am here to {v}",
            "{v}",
        ),
        "negated": (
            "I do [not] want to {v}",
            "there is [no] need to {v}",
            "I [don't] need to {v}",
            "I am [not] here to {v}",
            "to {v} is [not] what I want",
            "[never] mind helping me {v}",
            "I would like [not] to {v}",
        ),
        "other": (
            "my wife wants to {v}",
            "my colleague would like to {v}",
            "my mother needs to {v}",
            "a friend asked you to help him {v}",
            "to {v} is what my brother needs",
            "it is my boss who wants to {v}",
        ),
        "past": (
            "last month I wanted to {v} and that is done",
            "a year ago I wrote to {v}",
            "yesterday you helped me {v}",
            "to {v} was settled last week",
            "I needed to {v} before but it is solved",
        ),
        "double": (
            "it is [not] that I do [not] want to {v}",
            "it is [not] that there is [no] need to {v}",
            "[not] that I would like [not] to {v}",
        ),
    },
}

# Several requests of one's own: {a} comes first in time, in half of them not in the text.
COMPOUNDS = {
    "zh": (
        "(先){a}，|(再){b}",
        "我想(先){a}，|(然后){b}",
        "请帮我{a}，|办完(以后再){b}",
        "我要{a}，|(顺便)也{b}",
        "(先){a}，|(再){b}，|(最后){c}",
        "我想{b}，|(但在那之前先){a}",
        "{b}(之前)，|请(先){a}",
        "{b}(等会儿再说)，|我想(先){a}",
        "(最后){b}，|(现在先){a}",
        "(第二步){b}，|(最后){c}，|(第一步){a}",
    ),
    "en": (
        "(first) I want to {a}, |(then) {b}",
        "please help me {a}, |and (afterwards) {b}",
        "I would like to {a} |(before) I {b}",
        "I need to {a}, |and to {b} (later)",
        "(first) {a}, |(then) {b}, |(finally) {c}",
        "(before) I {b}, |I want to {a}",
        "(after) that I want to {b}, |but (first) I need to {a}",
        "I want to {b}, |but {a} (first)",
        "to {b} (can wait), |help me {a} (now)",
        "(last) {b}, |(before that) {c}, |and (first) of all {a}",
    ),
}

# Numbered requests, {o} an ordinal; the pointer says which one counts. [not] pointers need exactly two items.
ORDINALS = {
    "zh": {
        "thing": (
            "我有几件事",
            "第#{o}#件是{v}",
            ("请(先)办第#{o}#件", "第#{o}#件(最)急", "(先)处理第#{o}#件吧"),
            "第#{o}#件[不用]办了",
        ),
        "instalment": (
            "关于我的分期",
            "第#{o}#期要{v}",
            ("请(先)办第#{o}#期的", "第#{o}#期的(最)急", "(先)处理第#{o}#期吧"),
            "第#{o}#期的[不用]办了",
        ),
        "year": (
            "关于我的分期",
            "第#{y}#年第#{o}#期要{v}",
            ("请(先)办第#{y}#年第#{o}#期的", "第#{y}#年第#{o}#期的(最)急", "(先)处理第#{y}#年第#{o}#期吧"),
            "第#{y}#年第#{o}#期的[不用]办了",
        ),
    },
    "en": {
        "thing": (
            "I have a few requests",
            "request #{o}# is to {v}",
            ("please do request #{o}# (first)", "request #{o}# is the (most urgent)", "take request #{o}# (first)"),
            "request #{o}# is [no] longer needed",
        ),
        "instalment": (
            "this is about my instalments",
            "for instalment #{o}# I want to {v}",
            (
                "please do instalment #{o}# (first)",
                "instalment #{o}# is the (most urgent)",
                "take instalment #{o}# (first)",
            ),
            "instalment #{o}# is [not] needed any more",
        ),
        "year": (
            "this is about my instalments",
            "for year #{y}# instalment #{o}# I want to {v}",
            (
                "please do year #{y}# instalment #{o}# (first)",
                "year #{y}# instalment #{o}# is the (most urgent)",
                "take year #{y}# instalment #{o}# (first)",
            ),
            "year #{y}# instalment #{o}# is [not] needed any more",
        ),
    },
}
IN_WORDS = {"zh": "一二三四五六", "en": ("one", "two", "three", "four", "five", "six")}

OPENERS = {
    "zh": ("您好，", "你好，", "客服您好，", "请问有人吗？", "工单#{ticket}#，"),
    "en": ("Hello, ", "Hi, ", "Good morning, ", "Dear team, ", "Ticket #{ticket}#: "),
}
CLOSERS = {"zh": ("，谢谢", "，辛苦了", "，麻烦您了"), "en": (", thank you", ", thanks", ", kind regards")}
JOINTS = {"zh": ("，", "；", "，但是", "，另外"), "en": (", ", "; ", ", but ", ", and ")}
STOP = {"zh": "。", "en": "."}
COMMA = {"zh": "，", "en": ", "}
