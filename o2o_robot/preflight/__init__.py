"""What must be true before an arm may move: facts are gathered elsewhere, here each is judged by one small function.

facts = Facts(graph, machine)              # doctor_node fills the first, machine_facts the second
for finding in examine(facts, wanted):
    print(finding.level, finding.what, finding.measured, finding.allowed, finding.remedy)
"""
